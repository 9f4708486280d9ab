# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that a bundle's operators are those that the model was trained with."""

import numpy as np
import pytest
import torch

from twhin import scoring
from twhin.model import operators as model_operators
from twhin.retrieval import operators
from twhin.scoring import Comparator, Operator, has_transpose

_DIM = 6
_PAIRS = [(o, c) for o in Operator for c in Comparator if has_transpose(o, c)]


def _numbers(seed: int, *shape: int) -> operators.Floats:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("operator", list(Operator))
def test_apply_is_the_model_s(operator: Operator) -> None:
    model = model_operators.make_operator(operator)
    num_parameters = scoring.num_parameters(operator, _DIM)
    x, parameters = _numbers(0, 5, _DIM), _numbers(1, num_parameters)

    found = operators.apply(operator, x, parameters)

    expected = model.apply(
        torch.from_numpy(x),
        torch.from_numpy(parameters)[None],
        torch.zeros(5, dtype=torch.int64),
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("operator", "comparator"), _PAIRS)
def test_transpose_is_the_model_s(operator: Operator, comparator: Comparator) -> None:
    x = _numbers(0, 5, _DIM)
    parameters = _numbers(1, scoring.num_parameters(operator, _DIM))

    found = operators.transpose(operator, x, parameters, comparator)

    expected = model_operators.make_operator(operator).transpose(
        torch.from_numpy(x),
        torch.from_numpy(parameters)[None],
        torch.zeros(5, dtype=torch.int64),
        comparator,
    )
    vectors = expected.vectors.numpy()
    np.testing.assert_allclose(found.vectors, vectors, rtol=1e-5, atol=1e-5)
    assert (found.bias is None) == (expected.bias is None)
    if found.bias is not None and expected.bias is not None:
        bias = expected.bias.numpy()
        np.testing.assert_allclose(found.bias, bias, rtol=1e-5, atol=1e-5)


def test_operators_by_hand() -> None:
    x = np.array([[1, 2, 3, 4]], np.float32)
    four = np.array([10, 20, 30, 40], np.float32)
    quarter_turn = np.array([np.pi / 2, 0], np.float32)

    translated = operators.apply(Operator.TRANSLATION, x, four)
    scaled = operators.apply(Operator.DIAGONAL, x, four)
    rotated = operators.apply(Operator.ROTATION, x, quarter_turn)

    assert translated.tolist() == [[11, 22, 33, 44]]
    assert scaled.tolist() == [[10, 40, 90, 160]]
    # (1 + 3i) i = -3 + i.
    np.testing.assert_allclose(rotated, [[-3, 2, 1, 4]], atol=1e-6)
