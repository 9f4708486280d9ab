# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of weights and of repeated edges."""

import math
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twhin.testing.prepare_case import USER_TWEET, PrepareCase


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    return PrepareCase(tmp_path)


def config(*options: str, source: str = "") -> tuple[str, str]:
    """Returns a configuration with options of `raw` and of its training source."""
    lines = "".join(f"\n    {option}" for option in options)
    source = f"paths: train.parquet, relation: likes{source}"
    return USER_TWEET, f"data:\n  raw:\n    train: {{{source}}}{lines}"


def weights(case: PrepareCase) -> dict[tuple[int, int], float]:
    return {(row["lhs"], row["rhs"]): row["weight"] for row in case.rows("train")}


def write_weighted(case: PrepareCase) -> None:
    case.write_parquet(
        "train.parquet",
        lhs=["a", "a", "a", "b"],
        rhs=["t", "t", "t", "t"],
        w=[0.5, 2.0, 1.0, 4.0],
    )


def test_weights_are_float32_beside_their_edge(case: PrepareCase) -> None:
    case.write_parquet("train.parquet", lhs=["a", "b"], rhs=["t", "t"], w=[1, 3])

    manifest = case.prepare(*config(source=", weight: w"))

    assert manifest.weighted
    assert weights(case) == {(0, 0): 1.0, (1, 0): 3.0}
    (file,) = case.graph().edge_files("train")
    assert pq.read_schema(file).field("weight").type == pa.float32()


def test_edges_without_a_weight_column_weigh_one_beside_others(
    case: PrepareCase,
) -> None:
    case.write_parquet("train.parquet", lhs=["a"], rhs=["t"], w=[2.5])
    case.write_parquet("more.parquet", lhs=["b"], rhs=["t"])

    case.prepare(
        USER_TWEET,
        """
        data:
          raw:
            train:
              - {paths: train.parquet, relation: likes, weight: w}
              - {paths: more.parquet, relation: likes}
        """,
    )

    assert weights(case) == {(0, 0): 2.5, (1, 0): 1.0}


def test_unweighted_graphs_have_no_weight_column(case: PrepareCase) -> None:
    case.write_parquet("train.parquet", lhs=["a", "a"], rhs=["t", "t"])

    manifest = case.prepare(*config())

    assert not manifest.weighted
    assert case.rows("train") == [{"lhs": 0, "rel": 1, "rhs": 0}] * 2


def test_duplicates_may_be_kept(case: PrepareCase) -> None:
    write_weighted(case)

    manifest = case.prepare(*config(source=", weight: w"))

    assert sorted(row["weight"] for row in case.rows("train")) == [0.5, 1, 2, 4]
    assert manifest.splits["train"].num_duplicates == 0


def test_of_dropped_duplicates_the_largest_weight_stays(case: PrepareCase) -> None:
    write_weighted(case)

    manifest = case.prepare(*config("duplicates: drop", source=", weight: w"))

    assert weights(case) == {(0, 0): 2.0, (1, 0): 4.0}
    assert manifest.splits["train"].num_duplicates == 2
    assert manifest.splits["train"].num_input_edges == 4


def test_weights_of_duplicates_may_be_added(case: PrepareCase) -> None:
    write_weighted(case)

    case.prepare(*config("duplicates: sum_weights", source=", weight: w"))

    assert weights(case) == {(0, 0): 3.5, (1, 0): 4.0}


def test_added_duplicates_without_weights_are_counted(case: PrepareCase) -> None:
    case.write_parquet("train.parquet", lhs=["a", "a", "b"], rhs=["t", "t", "t"])

    manifest = case.prepare(*config("duplicates: sum_weights"))

    assert manifest.weighted
    assert weights(case) == {(0, 0): 2.0, (1, 0): 1.0}


def test_sums_do_not_depend_on_the_order_of_rows(case: PrepareCase) -> None:
    parts = [10 ** random.Random(i).uniform(-4, 4) for i in range(3000)]
    sums = []
    for order in (parts, parts[::-1]):
        case.write_parquet("train.parquet", lhs=[1] * 3000, rhs=[2] * 3000, w=order)
        case.prepare(*config("duplicates: sum_weights", source=", weight: w"))
        sums.append(weights(case)[0, 0])

    assert sums[0] == sums[1]
    assert math.isclose(sums[0], math.fsum(parts), rel_tol=1e-6)


def test_degree_counts_an_edge_once_when_duplicates_are_dropped(
    case: PrepareCase,
) -> None:
    write_weighted(case)

    case.prepare(*config("duplicates: drop"))

    assert case.graph().load_degrees("tweet").tolist() == [2]


def test_both_directions_of_an_undirected_edge_are_duplicates(
    case: PrepareCase,
) -> None:
    case.write_edges("train.parquet", [("a", "knows", "b"), ("b", "knows", "a")])

    manifest = case.prepare(
        """
        graph:
          entity_types: [{name: user}]
          relations: [{name: knows, lhs: user, rhs: user, undirected: true}]
        data: {raw: {train: {paths: train.parquet}, duplicates: drop}}
        """
    )

    assert manifest.splits["train"].num_duplicates == 1
    assert case.edges("train") == [("a", "knows", "b"), ("b", "knows", "a")]
