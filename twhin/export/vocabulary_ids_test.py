# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that ids are those of the vocabulary, in the order of the rows."""

from pathlib import Path

import pyarrow as pa
import pytest

from twhin.bundle.utf8_ids import Utf8Ids
from twhin.export import vocabulary_ids
from twhin.testing.export_case import encoded_case, prepared_case

_EDGES = [("ann", "buys", 7), ("bob", "buys", 7), ("ann", "views", -9)]


def test_ids_are_those_of_the_vocabulary(tmp_path: Path) -> None:
    graph = prepared_case(tmp_path, _EDGES).graph

    users = vocabulary_ids.load_ids(graph, "user")
    items = vocabulary_ids.load_ids(graph, "item")

    assert isinstance(users, Utf8Ids)
    assert not isinstance(items, Utf8Ids)
    expected = graph.load_vocabulary("user")["id"].to_pylist()
    assert [users.id(row) for row in range(len(users))] == expected
    assert items.tolist() == graph.load_vocabulary("item")["id"].to_pylist()
    assert sorted(expected) == ["ann", "bob"]


def test_encoded_edges_have_rows_for_ids(tmp_path: Path) -> None:
    graph = encoded_case(tmp_path, num_users=4).graph

    ids = vocabulary_ids.load_ids(graph, "user")

    assert not isinstance(ids, Utf8Ids)
    assert ids.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("chunks", [[[]], [["a"], [], ["bc", "\u00e9"]]])
def test_chunks_of_a_column_are_joined(chunks: list[list[str]]) -> None:
    column = pa.chunked_array([pa.array(chunk, pa.string()) for chunk in chunks])

    ids = vocabulary_ids._utf8_ids(column)

    assert [ids.id(row) for row in range(len(ids))] == column.to_pylist()


def test_a_slice_of_a_column_is_that_slice() -> None:
    column = pa.chunked_array([pa.array(["a", "bb", "ccc", "d"]).slice(1, 2)])

    ids = vocabulary_ids._utf8_ids(column)

    assert [ids.id(row) for row in range(len(ids))] == ["bb", "ccc"]
