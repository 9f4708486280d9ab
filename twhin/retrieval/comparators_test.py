# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that a bundle's comparisons are those that the model was trained with."""

import numpy as np
import pytest
import torch

from twhin.model.comparators import make_comparator
from twhin.retrieval import comparators
from twhin.scoring import Comparator


def _numbers(seed: int, *shape: int) -> comparators.Floats:
    numbers = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    numbers[0] = 0
    return numbers


@pytest.mark.parametrize("comparator", list(Comparator))
def test_comparisons_are_the_model_s(comparator: Comparator) -> None:
    queries, candidates = _numbers(0, 3, 8), _numbers(1, 5, 8)
    model = make_comparator(comparator)
    expected = model.pairwise(torch.from_numpy(queries), torch.from_numpy(candidates))

    pairwise = comparators.pairwise(comparator, queries, candidates)
    elementwise = comparators.elementwise(
        comparator, queries, np.broadcast_to(candidates, (3, 5, 8))
    )

    assert pairwise.dtype == elementwise.dtype == np.float32
    np.testing.assert_allclose(pairwise, expected.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(elementwise, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_comparisons_by_hand() -> None:
    query = np.array([[3, 4]], np.float32)
    candidates = np.array([[[3, 4], [0, 1], [0, 0]]], np.float32)
    expected: dict[Comparator, list[float]] = {
        Comparator.DOT: [25, 4, 0],
        Comparator.COSINE: [1, 0.8, 0],
        Comparator.NEGATIVE_L2: [-1e-6, -(18**0.5), -5],
        Comparator.NEGATIVE_SQUARED_L2: [0, -18, -25],
        Comparator.NEGATIVE_L1: [0, -6, -7],
    }

    for comparator, scores in expected.items():
        found = comparators.elementwise(comparator, query, candidates)
        assert found[0].tolist() == pytest.approx(scores, rel=1e-6)


def test_arguments_are_not_changed() -> None:
    queries, candidates = _numbers(0, 3, 8), _numbers(1, 5, 8)
    before = queries.copy(), candidates.copy()

    for comparator in Comparator:
        comparators.pairwise(comparator, queries, candidates)
    comparators.normalize(queries)

    assert (queries == before[0]).all()
    assert (candidates == before[1]).all()
