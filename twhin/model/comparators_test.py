# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of comparators."""

import math

import pytest
import torch

from twhin.model.comparators import make_comparator
from twhin.scoring import Comparator

# a = [3, 4] with b = [0, 5] and c = [3, 4]: |a| = |b| = 5, a - b = [3, -1].
_EXPECTED = {
    Comparator.DOT: [20.0, 25.0],
    Comparator.COSINE: [0.8, 1.0],
    Comparator.NEGATIVE_L2: [-math.sqrt(10.0), 0.0],
    Comparator.NEGATIVE_SQUARED_L2: [-10.0, 0.0],
    Comparator.NEGATIVE_L1: [-4.0, 0.0],
}


def test_every_comparator_has_a_case_here() -> None:
    assert set(_EXPECTED) == set(Comparator)


@pytest.mark.parametrize("comparator", Comparator)
def test_values_match_those_computed_by_hand(comparator: Comparator) -> None:
    compare = make_comparator(comparator)
    queries = torch.tensor([[3.0, 4.0]])
    candidates = torch.tensor([[0.0, 5.0], [3.0, 4.0]])
    expected = torch.tensor(_EXPECTED[comparator])

    elementwise = compare.elementwise(queries.expand(2, 2), candidates)
    pairwise = compare.pairwise(queries, candidates)

    torch.testing.assert_close(elementwise, expected, atol=2e-6, rtol=1e-6)
    torch.testing.assert_close(pairwise, expected[None], atol=2e-6, rtol=1e-6)


@pytest.mark.parametrize("comparator", Comparator)
def test_pairwise_equals_elementwise_for_chunks(comparator: Comparator) -> None:
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(3, 5, 8, generator=generator)
    candidates = torch.randn(3, 7, 8, generator=generator)
    compare = make_comparator(comparator)

    pairwise = compare.pairwise(queries, candidates)

    expanded = compare.elementwise(
        queries.unsqueeze(2).expand(3, 5, 7, 8),
        candidates.unsqueeze(1).expand(3, 5, 7, 8),
    )
    torch.testing.assert_close(pairwise, expanded, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "comparator", sorted(set(Comparator) - {Comparator.NEGATIVE_L1})
)
def test_comparison_from_products_equals_that_of_vectors(
    comparator: Comparator,
) -> None:
    a, b = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    compare = make_comparator(comparator)

    found = compare.from_products(
        (a * b).sum(-1), lambda: (a.square().sum(-1), b.square().sum(-1))
    )

    torch.testing.assert_close(found, compare.elementwise(a, b), rtol=1e-5, atol=1e-5)


def test_an_l1_distance_is_not_found_from_products() -> None:
    compare = make_comparator(Comparator.NEGATIVE_L1)

    with pytest.raises(ValueError, match="no function of products"):
        compare.from_products(torch.zeros(1), lambda: (torch.ones(1), torch.ones(1)))


@pytest.mark.parametrize("comparator", Comparator)
def test_gradient_is_finite_where_embeddings_are_equal(comparator: Comparator) -> None:
    x = torch.ones(2, 4, requires_grad=True)
    compare = make_comparator(comparator)

    total = compare.elementwise(x, x.detach()) + compare.pairwise(x, x.detach())
    total.sum().backward()  # type: ignore[no-untyped-call]

    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())
