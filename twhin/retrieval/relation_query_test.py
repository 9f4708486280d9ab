# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that queries through relations give edges the scores that they have."""

from pathlib import Path

import numpy as np
import pytest

from twhin.bundle.bundle import Bundle
from twhin.errors import BundleError
from twhin.retrieval.relation_query import (
    candidate_type,
    known_type,
    make_query,
    score_rows,
)
from twhin.scoring import Comparator, Operator
from twhin.side import Side
from twhin.testing.small_bundle import (
    RelationForTest,
    TableForTest,
    write_bundle_for_test,
)

_USERS = np.array([[1, 0], [0, 2]], np.float32)
_TWEETS = np.array([[3, 1], [1, 1], [0, 4]], np.float32)
_SHIFT = [10.0, 100.0]


def _bundle(
    folder: Path,
    comparator: Comparator = Comparator.DOT,
    operator: Operator = Operator.TRANSLATION,
    reciprocal: list[float] | None = None,
) -> Bundle:
    write_bundle_for_test(
        folder,
        {
            "user": TableForTest(ids=[7, 8], vectors=_USERS),
            "tweet": TableForTest(ids=["a", "b", "c"], vectors=_TWEETS),
        },
        [
            RelationForTest(
                name="likes",
                lhs="user",
                rhs="tweet",
                operator=operator,
                parameters=_SHIFT,
                reciprocal_parameters=reciprocal,
            )
        ],
        comparator=comparator,
    )
    return Bundle.open(folder)


def test_both_sides_give_an_edge_the_same_score(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path)
    users = bundle.find("user", [7, 8])
    tweets = bundle.find("tweet", ["a", "b", "c"])

    forth = make_query(bundle, "likes", Side.RHS, _USERS[:1])
    back = make_query(bundle, "likes", Side.LHS, _TWEETS[:1])

    # (user 7 + shift) . tweet = (11, 100) . (3, 1), (1, 1), (0, 4).
    to_tweets = score_rows(bundle, forth, "tweet", tweets)
    to_users = score_rows(bundle, back, "user", users)
    assert to_tweets.tolist() == [133, 111, 400]
    # (user + shift) . tweet a = user . (3, 1) + 130.
    assert to_users.tolist() == [133, 132]


def test_reciprocal_parameters_rank_the_lhs(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, reciprocal=[1.0, 2.0])

    query = make_query(bundle, "likes", Side.LHS, _TWEETS)

    assert query.vectors.tolist() == [[4, 3], [2, 3], [1, 6]]
    assert query.bias is None


def test_no_relation_compares_the_vectors_themselves(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path)

    query = make_query(bundle, None, Side.RHS, _USERS)

    assert (query.vectors == _USERS).all()


def test_unknown_rows_have_no_score(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path)
    query = make_query(bundle, None, Side.RHS, _USERS[1:])

    scores = score_rows(bundle, query, "user", np.array([-1, 0, 2]))

    assert np.isnan(scores).tolist() == [True, False, True]


def test_types_follow_the_side(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path)

    assert known_type(bundle, "likes", Side.RHS) == "user"
    assert candidate_type(bundle, "likes", Side.RHS) == "tweet"
    assert known_type(bundle, "likes", Side.LHS) == "tweet"
    assert candidate_type(bundle, "likes", Side.LHS) == "user"


def test_a_side_that_cannot_be_ranked_is_refused(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, Comparator.COSINE)

    make_query(bundle, "likes", Side.RHS, _USERS)
    with pytest.raises(BundleError, match="'likes': cannot rank the lhs: translation"):
        make_query(bundle, "likes", Side.LHS, _TWEETS)
    with pytest.raises(KeyError, match="sees"):
        make_query(bundle, "sees", Side.RHS, _USERS)
