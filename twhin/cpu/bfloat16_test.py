# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Compares rounding to bfloat16 with torch's."""

import numpy as np
import torch

from twhin.cpu.bfloat16 import round_rows


def _check(rows: torch.Tensor) -> None:
    out = np.zeros(rows.shape, np.uint16)

    round_rows(rows.numpy(), out)

    expected = rows.to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    np.testing.assert_array_equal(out, expected)


def test_numbers_of_all_sizes_are_rounded_as_torch_rounds_them() -> None:
    generator = torch.Generator().manual_seed(0)
    digits = torch.randn(50, 17, generator=generator)

    _check(digits * 10.0 ** torch.randint(-42, 38, (50, 17), generator=generator))


def test_halves_go_to_the_even_neighbour() -> None:
    _check(torch.tensor([[1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 1 + 2**-8 + 2**-20]]))


def test_infinities_and_nan_stay_what_they_are() -> None:
    _check(torch.tensor([[torch.inf, -torch.inf, 3.4e38, 0.0, -0.0]]))
    out = np.zeros((1, 1), np.uint16)
    round_rows(np.full((1, 1), np.nan, np.float32), out)
    assert torch.from_numpy(out.view(np.int16)).view(torch.bfloat16).isnan().all()
