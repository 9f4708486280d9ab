# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of what a preparation finds strange."""

from pathlib import Path

import pytest

from twhin.testing.prepare_case import USER_TWEET, PrepareCase


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    return PrepareCase(tmp_path)


def warnings(case: PrepareCase, lhs: str, rhs: str) -> tuple[str, ...]:
    """Prepares likes of users and tweets from two columns; returns the warnings."""
    case.write_parquet("train.parquet", **{lhs: [1, 2], rhs: [3, 3]})
    source = f"{{paths: train.parquet, lhs: {lhs}, rhs: {rhs}, relation: likes}}"
    graph = USER_TWEET.replace("- {name: follows, lhs: user, rhs: user}", "")
    return case.prepare(graph, f"data: {{raw: {{train: {source}}}}}").warnings


def test_columns_named_after_the_other_side_look_swapped(case: PrepareCase) -> None:
    assert warnings(case, "tweet_id", "USER_ID") == (
        "data.raw.train[0]: lhs is column 'tweet_id' and rhs is column 'USER_ID', but"
        " lhs is the entity type 'user' and rhs is 'tweet'; are the columns swapped?",
    )


@pytest.mark.parametrize(
    ("lhs", "rhs"), [("user_id", "tweet_id"), ("a", "b"), ("tweet_user", "user_tweet")]
)
def test_other_names_raise_no_suspicion(case: PrepareCase, lhs: str, rhs: str) -> None:
    assert warnings(case, lhs, rhs) == ()


def test_relation_without_training_edges_is_told(case: PrepareCase) -> None:
    case.write_edges("train.parquet", [("a", "likes", "t")])
    case.write_edges("test.parquet", [("a", "follows", "a")])

    manifest = case.prepare(
        USER_TWEET,
        "data: {raw: {train: {paths: train.parquet}, test: {paths: test.parquet}}}",
    )

    assert manifest.warnings == ("relation 'follows' has no training edge",)
