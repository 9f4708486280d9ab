# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of comparisons as matrix products."""

import pytest
import torch

from twhin.evaluation.comparison import Comparison
from twhin.model.comparators import make_comparator
from twhin.scoring import Comparator


@pytest.mark.parametrize("comparator", Comparator)
def test_order_of_candidates_is_the_comparators(comparator: Comparator) -> None:
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(5, 8, generator=generator)
    rows = torch.randn(40, 8, generator=generator)
    comparison = Comparison(comparator)

    scores = comparison.scores(
        comparison.prepare_queries(queries), comparison.prepare_candidates(rows)
    )

    expected = make_comparator(comparator).pairwise(queries, rows)
    assert torch.equal(scores.argsort(1), expected.argsort(1))


@pytest.mark.parametrize("comparator", Comparator)
@pytest.mark.parametrize("dim", [3, 200])
def test_bounds_enclose_the_score_of_the_product(
    comparator: Comparator, dim: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    comparison = Comparison(comparator)
    queries = comparison.prepare_queries(torch.randn(64, dim, generator=generator))
    rows = comparison.prepare_candidates(torch.randn(64, dim, generator=generator))

    lower, upper = comparison.pair_bounds(queries, rows)

    scores = comparison.scores(queries, rows).diagonal()
    assert bool((lower < scores).all())
    assert bool((scores < upper).all())
    # Narrow: 1e-5 of the spread of scores.
    assert float((upper - lower).max()) < 1e-4 * float(scores.std())


def test_zero_vector_has_cosine_zero() -> None:
    comparison = Comparison(Comparator.COSINE)

    scores = comparison.scores(
        comparison.prepare_queries(torch.tensor([[3.0, 4.0]])),
        comparison.prepare_candidates(torch.tensor([[0.0, 0.0], [6.0, 8.0]])),
    )

    torch.testing.assert_close(scores, torch.tensor([[0.0, 1.0]]))
