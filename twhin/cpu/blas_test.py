# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Compares products of compiled loops with numpy's."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from twhin.cpu import blas


@pytest.mark.parametrize("a_is_transposed", [False, True])
@pytest.mark.parametrize("b_is_transposed", [False, True])
@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_product_is_that_of_numpy(
    a_is_transposed: bool, b_is_transposed: bool, beta: float
) -> None:
    draw = np.random.default_rng(0)
    a, b, before = (
        draw.standard_normal(shape, dtype=np.float32)
        for shape in ((3, 5), (5, 4), (3, 4))
    )
    # Columns of a wider matrix: its rows are dense, and it is not.
    out = np.full((3, 6), np.nan, dtype=np.float32)[:, 1:5]
    out[:] = before

    blas.multiply(
        a.T.copy() if a_is_transposed else a,
        a_is_transposed,
        b.T.copy() if b_is_transposed else b,
        b_is_transposed,
        beta,
        out,
    )

    np.testing.assert_allclose(out, a @ b + beta * before, rtol=1e-5, atol=1e-6)


def test_product_of_bfloat16_is_summed_in_float32() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(3, 500, generator=generator).to(torch.bfloat16)
    b = torch.randn(500, 4, generator=generator).to(torch.bfloat16)
    out = np.ones((3, 4), dtype=np.float32)

    blas.multiply(_bits(a), False, _bits(b.T), True, 1.0, out)

    expected = a.double() @ b.double() + 1.0
    np.testing.assert_allclose(out, expected.numpy(), rtol=1e-5, atol=1e-4)


def test_torch_has_products_on_this_machine() -> None:
    assert blas.HAS_PRODUCTS


def _bits(matrix: torch.Tensor) -> NDArray[np.uint16]:
    return matrix.contiguous().view(torch.int16).numpy().view(np.uint16)
