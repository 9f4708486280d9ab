# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of edges read a part at a time."""

from pathlib import Path

import pytest

from twhin.errors import DataError
from twhin.evaluation import edges
from twhin.testing import ranking_case
from twhin.testing.ranking_case import SCHEMA


def test_parts_are_the_edges_in_order(tmp_path: Path) -> None:
    graph = ranking_case.write_random_graph(tmp_path)

    parts = list(edges.read_parts(graph.edge_files("train"), SCHEMA))

    whole = edges.concatenate(parts)
    assert len(parts) == 10
    found = zip(whole.lhs.tolist(), whole.rel.tolist(), whole.rhs.tolist(), strict=True)
    assert list(found) == list(graph.edges["train"])


def test_no_files_have_no_edges() -> None:
    assert len(edges.concatenate(list(edges.read_parts((), SCHEMA)))) == 0


def test_index_out_of_range_names_file_and_bound(tmp_path: Path) -> None:
    graph = ranking_case.write_graph(tmp_path, train=[(0, 0, 10), (0, 0, 11)])

    with pytest.raises(DataError, match=r"train\.parquet.*rhs is 11.*0 to 10"):
        list(edges.read_parts(graph.edge_files("train"), SCHEMA))
