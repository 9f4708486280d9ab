# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks what a prepared folder gives, and that damage is found when it opens."""

from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twhin.errors import DataError
from twhin.graph.edge_files import read_edges
from twhin.graph.prepared_graph import PreparedGraph
from twhin.testing.prepare_case import USER_TWEET, PrepareCase

EDGES = [
    ("ann", "likes", "t1"),
    ("ann", "follows", "bob"),
    ("bob", "likes", "t1"),
    ("ann", "follows", "ann"),
]
ENCODED = """
    graph:
      entity_types: [{name: user, num_entities: 5}, {name: tweet, num_entities: 3}]
      relations:
        - {name: follows, lhs: user, rhs: user}
        - {name: likes, lhs: user, rhs: tweet}
    """


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    return PrepareCase(tmp_path)


def prepare(case: PrepareCase, entity_type: str = "{name: user}") -> PreparedGraph:
    case.write_edges("train.parquet", EDGES)
    case.prepare(
        USER_TWEET.replace("{name: user}", entity_type),
        "data: {raw: {train: {paths: train.parquet}}}",
    )
    return case.graph()


def encoded(case: PrepareCase, train: str) -> PreparedGraph:
    return PreparedGraph.from_encoded(
        case.settings(ENCODED, f"data: {{encoded: {{train: {train!r}}}}}")
    )


def test_files_of_a_split_hold_its_edges(case: PrepareCase) -> None:
    graph = prepare(case)

    edges = read_edges(graph.edge_files("train"), graph.schema)

    assert len(edges) == 4
    assert graph.edge_files("valid") == ()


def test_degrees_count_both_ends(case: PrepareCase) -> None:
    graph = prepare(case)

    assert graph.load_vocabulary("user")["id"].to_pylist() == ["ann", "bob"]
    assert graph.load_degrees("user").tolist() == [4, 2]
    assert graph.load_degrees("tweet").tolist() == [2]


def test_reserved_and_shared_rows_have_their_degrees(case: PrepareCase) -> None:
    graph = prepare(
        case,
        "{name: user, num_entities: 4, min_degree: 3, rare_entities: shared_row}",
    )

    assert graph.load_vocabulary("user")["id"].to_pylist() == ["ann"]
    assert graph.load_degrees("user").tolist() == [4, 2, 0, 0]


def test_missing_file_is_found_when_opening(case: PrepareCase) -> None:
    (file,) = prepare(case).edge_files("train")
    Path(file).unlink()

    with pytest.raises(
        DataError, match=r"part-00000.parquet: cannot be read \(No such"
    ):
        case.graph()


def test_cut_vocabulary_is_found_when_opening(case: PrepareCase) -> None:
    prepare(case)
    (file,) = (case.folder / "prepared/vocabulary/user").iterdir()
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-1])

    with pytest.raises(DataError, match=f"has {size - 1} bytes; allowed: {size}, as"):
        case.graph()


def test_damaged_vocabulary_is_an_error(case: PrepareCase) -> None:
    graph = prepare(case)
    (file,) = (case.folder / "prepared/vocabulary/user").iterdir()
    file.write_bytes(bytes(file.stat().st_size))

    with pytest.raises(DataError, match="the vocabulary of 'user' cannot be read"):
        graph.load_vocabulary("user")


def test_encoded_edges_have_a_schema_and_counted_degrees(case: PrepareCase) -> None:
    case.write_parquet("a/1.parquet", lhs=[4, 1], rel=[1, 0], rhs=[2, 1])
    case.write_parquet("a/2.parquet", lhs=[4], rel=[0], rhs=[0])

    graph = encoded(case, "a")

    assert len(graph.edge_files("train")) == 2
    assert graph.edge_files("test") == ()
    assert graph.load_degrees("user").tolist() == [1, 2, 0, 0, 2]
    assert graph.load_degrees("tweet").tolist() == [0, 0, 1]


def test_encoded_edges_behind_a_url(case: PrepareCase) -> None:
    with fsspec.open("memory://encoded/a.parquet", "wb") as stream:
        pq.write_table(pa.table({"lhs": [1], "rel": [1], "rhs": [2]}), stream)

    graph = encoded(case, "memory://encoded/a.parquet")

    assert graph.load_degrees("tweet").tolist() == [0, 0, 1]


def test_encoded_edges_out_of_range_are_an_error(case: PrepareCase) -> None:
    case.write_parquet("a.parquet", lhs=[4], rel=[1], rhs=[3])

    with pytest.raises(
        DataError, match="row 0: rhs is 3; the rows of entity type 'twe"
    ):
        encoded(case, "a.parquet").load_degrees("tweet")


def test_encoded_path_without_files_is_an_error(case: PrepareCase) -> None:
    with pytest.raises(DataError, match=r"data.encoded.train\[0\]: no file matches"):
        encoded(case, "none-*.parquet")


def test_encoded_edges_have_no_vocabulary(case: PrepareCase) -> None:
    case.write_parquet("a.parquet", lhs=[4], rel=[1], rhs=[2])

    with pytest.raises(
        DataError, match=r"data.encoded: has no vocabulary; allowed: a g"
    ):
        encoded(case, "a.parquet").load_vocabulary("user")
