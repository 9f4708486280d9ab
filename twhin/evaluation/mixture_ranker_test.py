# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the queries of mixtures and of fusing their lists."""

import pytest
import torch

from twhin.evaluation.entity_mixtures import EntityMixture
from twhin.evaluation.mixture_ranker import component_queries, fuse_lists
from twhin.scoring import Comparator


def test_candidate_is_worth_the_sum_over_lists_of_weight_by_rank() -> None:
    lists = torch.tensor([[[0, 1, 2, 3], [4, 3, 2, 5]]])

    fused = fuse_lists(lists, torch.tensor([[0.6, 0.4]]))

    # .6/2, .6/3, .6/4 + .4/4, .6/5 + .4/3, .4/2, .4/5
    #   .3    .2        .25        .2533      .2    .08
    assert fused.tolist() == [[0, 3, 2, 1]]


def test_ended_list_leaves_its_places_to_the_others() -> None:
    lists = torch.tensor([[[5, -1, -1], [6, 7, -1]], [[5, -1, -1], [-1, -1, -1]]])

    fused = fuse_lists(lists, torch.tensor([[0.9, 0.1], [0.5, 0.5]]))

    assert fused.tolist() == [[5, 6, 7], [5, -1, -1]]


def test_entity_without_weights_keeps_the_order_of_its_equal_lists() -> None:
    lists = torch.tensor([[[7, 2, 5], [7, 2, 5]]])

    fused = fuse_lists(lists, torch.zeros(1, 2))

    assert fused.tolist() == [[7, 2, 5]]


def test_list_of_no_weight_changes_nothing() -> None:
    lists = torch.tensor([[[3, 2, 1], [9, 8, 7]]])

    fused = fuse_lists(lists, torch.tensor([[1.0, 0.0]]))

    assert fused.tolist() == [[3, 2, 1]]


def _mixture() -> EntityMixture:
    return EntityMixture(
        clusters=torch.tensor([[0, 1]]),
        weights=torch.tensor([[1.0, 0.0]]),
        means=torch.tensor([[[0.0, 5.0], [0.0, 0.0]]]),
    )


@pytest.mark.parametrize("comparator", [Comparator.DOT, Comparator.COSINE])
def test_query_of_products_adds_directions(comparator: Comparator) -> None:
    queries = component_queries(torch.tensor([[3.0, 0.0]]), _mixture(), comparator)

    # Where there is no mean, the single query.
    torch.testing.assert_close(queries, torch.tensor([[[1.0, 1.0], [3.0, 0.0]]]))


def test_query_of_distances_is_the_middle() -> None:
    queries = component_queries(
        torch.tensor([[3.0, 0.0]]), _mixture(), Comparator.NEGATIVE_L2
    )

    torch.testing.assert_close(queries, torch.tensor([[[1.5, 2.5], [3.0, 0.0]]]))
