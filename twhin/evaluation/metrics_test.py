# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of metrics by numbers computed by hand."""

import math

import numpy as np
import pytest

from twhin.evaluation import metrics


def test_link_prediction_metrics_are_means_over_edges() -> None:
    ranks = np.array([1.0, 2.0, 4.0, 10.5])

    found = metrics.link_prediction_metrics(ranks, hits_at=(1, 3, 10))

    assert found == {
        "mrr": pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 10.5) / 4),
        "mr": 17.5 / 4,
        "hits@1": 1 / 4,
        "hits@3": 2 / 4,
        "hits@10": 3 / 4,
    }


def test_retrieval_scores_of_two_lists() -> None:
    # The first list finds the first and the third place, and misses one entity.
    ranks = np.array([1.0, 3.0, 7.0, 9.0])
    lists = np.array([0, 0, 0, 1])

    found = metrics.retrieval_scores(ranks, lists, cut=3)

    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found["recall"].tolist() == [pytest.approx(2 / 3), 0.0]
    assert found["ndcg"].tolist() == [pytest.approx((1 + 1 / 2) / ideal), 0.0]
    assert found["hit_rate"].tolist() == [1.0, 0.0]


def test_ideal_gain_ends_at_the_cut() -> None:
    ranks = np.array([1.0, 2.0, 3.0, 4.0])
    lists = np.zeros(4, dtype=np.int64)

    found = metrics.retrieval_scores(ranks, lists, cut=2)

    assert found["recall"].tolist() == [0.5]
    assert found["ndcg"].tolist() == [pytest.approx(1.0)]


def test_ndcg_is_one_only_for_the_best_order() -> None:
    lists = np.zeros(2, dtype=np.int64)

    best = metrics.retrieval_scores(np.array([2.0, 1.0]), lists, cut=5)
    later = metrics.retrieval_scores(np.array([2.0, 3.0]), lists, cut=5)

    assert best["ndcg"].tolist() == [pytest.approx(1.0)]
    assert later["ndcg"].tolist() == [
        pytest.approx((1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3)))
    ]
