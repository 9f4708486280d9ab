# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the edges of entities."""

from pathlib import Path

import pytest

from twhin.bin.prepared_edges import PreparedEdges
from twhin.config.resolved_config import load_config
from twhin.explore.edge_source import EntityEdges
from twhin.graph.open_graph import open_graph

_RAW = """
graph:
  entity_types: [{name: user}, {name: item}]
  relations:
    - {name: likes, lhs: user, rhs: item}
    - {name: knows, lhs: user, rhs: user}
data:
  raw:
    train:
      - {paths: likes.csv, lhs: user, rhs: item, relation: likes}
      - {paths: knows.csv, lhs: from, rhs: to, relation: knows}
"""


@pytest.fixture(name="edges")
def _edges(tmp_path: Path) -> PreparedEdges:
    (tmp_path / "likes.csv").write_text("user,item\na,7\na,8\nb,8\n")
    (tmp_path / "knows.csv").write_text("from,to\na,b\nb,a\nc,a\n")
    (tmp_path / "run.yaml").write_text(_RAW)
    settings = load_config(tmp_path / "run.yaml").settings
    open_graph(settings, tmp_path)
    return PreparedEdges(str(tmp_path / "prepared"))


def _is(relation: str, side: str, kind: str, num: int, ids: list[str]) -> EntityEdges:
    return EntityEdges(
        relation=relation, side=side, entity_type=kind, num_edges=num, ids=ids
    )


def test_edges_of_both_sides_are_found(edges: PreparedEdges) -> None:
    # Of the items 8 has two edges: it comes first.
    assert edges.edges_of("user", "a", 10) == [
        _is("likes", "rhs", "item", 2, ["8", "7"]),
        _is("knows", "rhs", "user", 1, ["b"]),
        _is("knows", "lhs", "user", 2, ["b", "c"]),
    ]
    assert edges.edges_of("item", 7, 10) == [_is("likes", "lhs", "user", 1, ["a"])]


def test_only_so_many_are_named(edges: PreparedEdges) -> None:
    assert edges.edges_of("item", 8, 1) == [_is("likes", "lhs", "user", 2, ["a"])]


def test_an_unknown_entity_has_no_edges(edges: PreparedEdges) -> None:
    assert edges.edges_of("user", "z", 10) == []
    assert edges.edges_of("song", "a", 10) == []
