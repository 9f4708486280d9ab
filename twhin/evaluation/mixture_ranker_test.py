# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the queries of mixtures and of merging their lists."""

import pytest
import torch

from twhin.config.settings import Comparator
from twhin.evaluation.entity_mixtures import EntityMixture
from twhin.evaluation.mixture_ranker import component_queries, merge_lists


def test_list_is_divided_by_weight_at_every_length() -> None:
    lists = torch.stack([torch.arange(8), 10 + torch.arange(8)])[None]

    merged = merge_lists(lists, torch.tensor([[0.75, 0.25]]))

    # By falling weight / (1, 3, 5): .75, .25 = .25, .15 = .15 (rounded), ...
    assert merged.tolist()[0][:4] == [0, 1, 10, 2]
    taken = [sum(each < 10 for each in merged.tolist()[0][:n]) for n in (4, 8)]
    assert taken == [3, 6]


def test_candidate_of_two_lists_is_taken_once_and_the_next_follows() -> None:
    lists = torch.tensor([[[5, 6, 7], [5, 7, 8]]])

    merged = merge_lists(lists, torch.tensor([[0.6, 0.4]]))

    assert merged.tolist() == [[5, 7, 6]]


def test_ended_list_leaves_its_places_to_the_others() -> None:
    lists = torch.tensor([[[5, -1, -1], [6, 7, -1]], [[1, 2, 3], [4, 5, 6]]])

    merged = merge_lists(lists, torch.tensor([[0.9, 0.1], [1.0, 0.0]]))

    assert merged.tolist() == [[5, 6, 7], [1, 2, 3]]


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
