# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks the lookup of known edges against a scan of all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twhin.graph.edge_columns import EdgeColumns
from twhin.side import Side
from twhin.training.known_edges import KnownEdges

_EDGES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 4)),
    min_size=1,
    max_size=25,
)
_QUERIES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=10)


@pytest.mark.parametrize("side", Side)
@settings(deadline=None)  # A busy machine is no fault.
@given(edges=_EDGES, queries=_QUERIES)
def test_finds_the_entities_on_a_side_once_each(
    side: Side, edges: list[tuple[int, int, int]], queries: list[tuple[int, int]]
) -> None:
    lhs, rel, rhs = (
        np.array(column, dtype=np.int64) for column in zip(*edges, strict=True)
    )
    known_edges = KnownEdges(EdgeColumns(lhs=lhs, rel=rel, rhs=rhs, weight=None))
    asked = np.array(queries, dtype=np.int64).reshape(-1, 2)

    found = known_edges.find(side, asked[:, 0], asked[:, 1])

    expected = [
        (number, sought)
        for number, (wanted, known) in enumerate(queries)
        for sought in sorted(
            {
                (a if side is Side.LHS else b)
                for a, r, b in edges
                if r == wanted and (b if side is Side.LHS else a) == known
            }
        )
    ]
    assert list(zip(*(column.tolist() for column in found), strict=True)) == expected
