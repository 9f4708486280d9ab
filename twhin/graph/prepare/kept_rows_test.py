# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the share of a source's rows that is read."""

import hashlib
from pathlib import Path

import pytest

from twhin.errors import DataError
from twhin.testing.prepare_case import USER_TWEET, Edge, PrepareCase

EDGES: list[Edge] = [(f"u{i}", "likes", f"t{i % 50}") for i in range(1000)]


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    return PrepareCase(tmp_path)


def config(rate: float, options: str = "") -> tuple[str, str]:
    source = f"{{paths: train.parquet, sampling_rate: {rate}}}"
    return USER_TWEET, f"data: {{raw: {{train: {source}{options}}}}}"


def is_sampled(edge: Edge, rate: float) -> bool:
    lhs, rel, rhs = edge
    text = f"sampling{rel}\x1f{lhs}\x1f{rhs}"
    return int(hashlib.md5(text.encode()).hexdigest()[:16], 16) / 2**64 < rate


def test_sample_is_decided_by_md5_of_the_edge(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES)

    manifest = case.prepare(*config(0.3))

    expected = sorted(edge for edge in EDGES if is_sampled(edge, 0.3))
    assert case.edges("train") == expected
    assert 230 < len(expected) < 370
    assert manifest.splits["train"].num_filtered == 1000 - len(expected)
    assert manifest.splits["train"].num_input_edges == len(expected)


def test_larger_sample_contains_the_smaller_one(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES)

    case.prepare(*config(0.2), output="small")
    case.prepare(*config(0.6), output="large")

    assert set(case.edges("train", "small")) < set(case.edges("train", "large"))


def test_sample_is_the_same_with_the_relation_as_a_constant(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES)
    case.prepare(*config(0.3), output="column")
    case.write_parquet(
        "train.parquet", lhs=[e[0] for e in EDGES], rhs=[e[2] for e in EDGES]
    )

    text = "paths: train.parquet, sampling_rate: 0.3, relation: likes"
    case.prepare(USER_TWEET, f"data: {{raw: {{train: {{{text}}}}}}}", output="constant")

    assert case.edges("train", "column") == case.edges("train", "constant")


def test_sample_and_holdout_are_independent(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES)

    manifest = case.prepare(*config(0.5, ", holdout: {test_fraction: 0.2}"))

    counts = [manifest.splits[s].num_input_edges for s in ("train", "test")]
    assert 0.12 < counts[1] / sum(counts) < 0.28


def test_new_edges_stand_beside_a_replay_of_old_ones(case: PrepareCase) -> None:
    case.write_edges("old.parquet", EDGES)
    new: list[Edge] = [(f"n{i}", "follows", f"u{i}") for i in range(10)]
    case.write_edges("new.parquet", new)

    manifest = case.prepare(
        USER_TWEET,
        """
        data:
          raw:
            train:
              - {paths: new.parquet}
              - {paths: old.parquet, sampling_rate: 0.1, filter: "lhs <> 'u1'"}
        """,
    )

    by_relation = manifest.splits["train"].edges_by_relation
    assert by_relation["follows"] == 10
    assert 60 < by_relation["likes"] < 140


def test_sampling_hides_no_null(case: PrepareCase) -> None:
    case.write_parquet(
        "train.parquet", lhs=[None, "a"], rel=["likes"] * 2, rhs=["t"] * 2
    )

    with pytest.raises(DataError, match="column 'lhs' is null; allowed: no null"):
        case.prepare(*config(1e-6))


def test_other_rate_makes_the_output_stale(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES)

    first = case.prepare(*config(0.3))

    assert case.prepare(*config(0.4)).digest != first.digest
