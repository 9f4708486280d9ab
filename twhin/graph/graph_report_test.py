# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks the tables about a prepared graph."""

from pathlib import Path

import pytest

from twhin.graph import graph_report
from twhin.testing.prepare_case import USER_TWEET, PrepareCase


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    return PrepareCase(tmp_path)


def describe(case: PrepareCase) -> dict[str, list[str]]:
    """Returns the lines of each table below its header, by title."""
    texts = [t.render() for t in graph_report.describe_graph(f"{case.folder}/prepared")]
    return {text.splitlines()[0]: text.splitlines()[2:] for text in texts}


def test_tables_count_ids_degrees_and_edges(case: PrepareCase) -> None:
    edges = [("ann", "likes", f"t{i}") for i in range(3)] + [("ann", "follows", "bob")]
    case.write_edges("train.parquet", edges)
    case.write_edges("test.parquet", [("bob", "likes", "t9")])

    case.prepare(
        USER_TWEET,
        "data: {raw: {train: {paths: train.parquet}, test: {paths: test.parquet}}}",
    )
    tables = describe(case)

    assert [line.split()[:5] for line in tables["entity types"]] == [
        ["user", "string", "2", "2", "0"],
        ["tweet", "string", "3", "3", "0"],
    ]
    assert [line.split() for line in tables["degrees in train, by quantile"]] == [
        ["user", "1", "1", "1", "1", "1", "1", "1", "4"],
        ["tweet", "1", "1", "1", "1", "1", "1", "1", "1"],
    ]
    assert [line.split()[:3] for line in tables["edges"]] == [
        ["train", "4", "1"],
        ["valid", "0", "0"],
        ["test", "0", "0"],
    ]
    assert tables["edges"][2].split()[-4:] == ["1", "0", "0", "1"]
    assert [line.split() for line in tables["relations"]] == [
        ["follows", "user", "user", "1", "0", "0"],
        ["likes", "user", "tweet", "3", "0", "0"],
    ]
    assert "warnings" not in tables


def test_warnings_are_shown(case: PrepareCase) -> None:
    case.write_edges("train.parquet", [("ann", "likes", "t1")])

    case.prepare(USER_TWEET, "data: {raw: {train: {paths: train.parquet}}}")

    warnings = describe(case)["warnings"]
    assert [line.strip() for line in warnings] == [
        "relation 'follows' has no training edge"
    ]


def test_many_relations_are_cut(case: PrepareCase) -> None:
    case.write_edges("train.parquet", [("a", f"r{i:02}", "b") for i in range(32)])

    case.prepare(
        """
        graph:
          entity_types: [{name: entity}]
          relations: [{name: "*", lhs: entity, rhs: entity}]
        data: {raw: {train: {paths: train.parquet}}}
        """
    )

    relations = describe(case)["relations"]
    assert len(relations) == 31
    assert relations[-1].split()[:4] == ["...", "and", "2", "more"]
