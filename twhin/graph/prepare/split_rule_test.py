# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of what is held out, by hash and by time."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from twhin.errors import DataError
from twhin.testing.prepare_case import USER_TWEET, Edge, PrepareCase

EDGES: list[Edge] = [(f"u{i % 50}", "likes", f"t{i}") for i in range(2000)]
BY_HASH = """
    data:
      raw:
        train: {paths: train.parquet}
        unseen_entities: keep
        holdout: {valid_fraction: 0.1, test_fraction: 0.2}
    """


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    return PrepareCase(tmp_path)


def by_time(case: PrepareCase, times: list[object], holdout: str) -> None:
    """Prepares edges (user i, likes, t) at times[i]."""
    count = len(times)
    case.write_parquet(
        "train.parquet",
        lhs=list(range(count)),
        rhs=[0] * count,
        at=times,
    )
    case.prepare(
        USER_TWEET,
        f"""
        data:
          raw:
            train: {{paths: train.parquet, relation: likes, timestamp: at}}
            unseen_entities: keep
            holdout: {{by_time: true, {holdout}}}
        """,
    )


def held_out(case: PrepareCase, split: str) -> list[int]:
    return [lhs for lhs, _, _ in case.edges(split)]


def test_hash_decides_by_md5_of_the_edge(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES)

    case.prepare(USER_TWEET, BY_HASH)

    expected: dict[str, list[Edge]] = {"train": [], "valid": [], "test": []}
    for lhs, rel, rhs in EDGES:
        text = hashlib.md5(f"{rel}\x1f{lhs}\x1f{rhs}".encode()).hexdigest()
        share = int(text, 16) / 2**128
        split = "valid" if share < 0.1 else "test" if share < 0.3 else "train"
        expected[split].append((lhs, rel, rhs))
    assert {split: case.edges(split) for split in expected} == {
        split: sorted(edges) for split, edges in expected.items()
    }


def test_an_edge_falls_the_same_way_whatever_else_there_is(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES)
    case.prepare(USER_TWEET, BY_HASH, output="all")
    case.write_edges("train.parquet", EDGES[:700])

    case.prepare(USER_TWEET, BY_HASH, output="some")

    for split in ("train", "valid", "test"):
        everything = set(case.edges(split, "all"))
        assert set(case.edges(split, "some")) == everything & set(EDGES[:700])


def test_both_directions_of_an_undirected_edge_fall_the_same_way(
    case: PrepareCase,
) -> None:
    edges = [(f"a{i}", "knows", f"b{i}") for i in range(300)]
    case.write_edges("train.parquet", edges + [(r, rel, lhs) for lhs, rel, r in edges])

    case.prepare(
        """
        graph:
          entity_types: [{name: user}]
          relations: [{name: knows, lhs: user, rhs: user, undirected: true}]
        data:
          raw: {train: {paths: train.parquet}, holdout: {test_fraction: 0.5}}
        """
    )

    train = set(case.edges("train"))
    assert not train & set(case.edges("test"))
    assert not {(rhs, rel, lhs) for lhs, rel, rhs in train} & set(case.edges("test"))


def test_only_the_named_relations_are_held_out(case: PrepareCase) -> None:
    follows = [(f"u{i}", "follows", f"u{i + 1}") for i in range(500)]
    case.write_edges("train.parquet", EDGES + follows)

    manifest = case.prepare(
        USER_TWEET, BY_HASH.replace("0.2}", "0.2, relations: likes}")
    )

    assert manifest.splits["train"].edges_by_relation["follows"] == 500
    assert manifest.splits["test"].edges_by_relation["follows"] == 0
    assert manifest.splits["test"].edges_by_relation["likes"] > 300


def test_a_relation_to_hold_out_must_have_edges(case: PrepareCase) -> None:
    case.write_parquet("train.parquet", lhs=["a"], rel=["likes"], rhs=["t"], at=[1])

    with pytest.raises(DataError, match=r"no training edge has .* \['follows'\]"):
        case.prepare(
            USER_TWEET,
            """
            data:
              raw:
                train: {paths: train.parquet, timestamp: at}
                holdout: {by_time: true, test_fraction: 0.5, relations: follows}
            """,
        )


def test_latest_edges_are_test_edges_then_validation(case: PrepareCase) -> None:
    by_time(case, [30, 10, 50, 20, 40], "valid_fraction: 0.2, test_fraction: 0.4")

    assert held_out(case, "test") == [2, 4]
    assert held_out(case, "valid") == [0]
    assert held_out(case, "train") == [1, 3]


def test_edges_of_one_time_stay_together(case: PrepareCase) -> None:
    by_time(case, [1, 1, 1, 7, 7, 7, 7, 7, 7, 9], "test_fraction: 0.2")

    assert held_out(case, "test") == [3, 4, 5, 6, 7, 8, 9]
    assert held_out(case, "train") == [0, 1, 2]


def test_bound_is_exact_over_a_wide_range_of_times(case: PrepareCase) -> None:
    times: list[object] = [(i * 7919 % 1000) ** 6 - 2**40 for i in range(1000)]

    by_time(case, times, "test_fraction: 0.25")

    latest = sorted(range(1000), key=lambda i: times[i])[-250:]  # type: ignore[arg-type, return-value]
    assert sorted(held_out(case, "test")) == sorted(latest)


def test_timestamps_and_dates_are_times(case: PrepareCase) -> None:
    times = pa.array([10**9, 3 * 10**9, 2 * 10**9], pa.timestamp("ms"))

    by_time(case, times.to_pylist(), "test_fraction: 0.3")

    assert held_out(case, "test") == [1]


def test_fractions_that_leave_no_training_edge_are_an_error(case: PrepareCase) -> None:
    with pytest.raises(DataError, match=r"holdout: the latest 1 of 3 edges begin at"):
        by_time(case, [5, 5, 5], "test_fraction: 0.2")
