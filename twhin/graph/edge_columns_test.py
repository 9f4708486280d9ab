# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that each bad value is named with its row and its bound."""

import numpy as np
import pytest

from twhin.errors import DataError
from twhin.graph.edge_columns import EdgeBounds, EdgeColumns
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema

SCHEMA = GraphSchema(
    entity_types=(
        EntityTypeSchema(name="user", num_entities=5),
        EntityTypeSchema(name="tweet", num_entities=3),
    ),
    relations=(
        RelationSchema(name="follows", lhs="user", rhs="user"),
        RelationSchema(name="likes", lhs="user", rhs="tweet"),
    ),
)


def check(edges: list[tuple[int, int, int]], weight: list[float] | None = None) -> None:
    """Checks edges of (lhs, rel, rhs)."""
    lhs, rel, rhs = np.array(edges, dtype=np.int64).T.copy()
    weights = None if weight is None else np.array(weight, dtype=np.float32)
    EdgeBounds(SCHEMA).check(
        EdgeColumns(lhs=lhs, rel=rel, rhs=rhs, weight=weights), "a.parquet: row group 2"
    )


def test_edges_in_range_pass() -> None:
    check([(0, 0, 0), (4, 0, 4), (4, 1, 2)], [1e-30, 1.0, 3e38])
    check([(4, 0, 4)])


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        (
            (5, 1, 0),
            "lhs is 5; the rows of entity type 'user' are 0 to 4 (relation 'likes')",
        ),
        (
            (0, 1, 3),
            "rhs is 3; the rows of entity type 'tweet' are 0 to 2 (relation 'likes')",
        ),
        (
            (0, 0, -1),
            "rhs is -1; the rows of entity type 'user' are 0 to 4 (relation 'follows')",
        ),
        ((0, 2, 0), "rel is 2; the relations of the schema are 0 to 1"),
        ((0, -1, 0), "rel is -1; the relations of the schema are 0 to 1"),
    ],
)
def test_value_out_of_range_is_named(edge: tuple[int, int, int], message: str) -> None:
    with pytest.raises(DataError) as caught:
        check([(0, 0, 0), edge])

    assert str(caught.value) == f"a.parquet: row group 2, row 1: {message}"


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf"), float("nan")])
def test_weight_out_of_range_is_named(weight: float) -> None:
    with pytest.raises(DataError) as caught:
        check([(0, 0, 0), (1, 0, 1)], [1.0, weight])

    assert str(caught.value) == (
        f"a.parquet: row group 2, row 1: weight is {weight!r}; weights are above 0 and"
        " finite"
    )


def test_bound_is_that_of_the_relation_and_not_of_the_smallest_type() -> None:
    check([(4, 0, 4)])

    with pytest.raises(DataError, match="rhs is 4"):
        check([(4, 1, 4)])
