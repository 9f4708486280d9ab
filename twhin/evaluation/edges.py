# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Edges of a graph, read a part at a time, and parts of them."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.edge_files import EdgeFiles
from twhin.graph.schema import GraphSchema

Integers = npt.NDArray[np.int64]


def read_parts(files: Sequence[str], schema: GraphSchema) -> Iterator[EdgeColumns]:
    """Reads the edges of a split, one row group of a file at a time.

    Args:
      files: Paths or URLs of parquet files; none give no edges.
      schema: What the indices must lie in.

    Raises:
      DataError: A file cannot be read, or has an index out of range.
    """
    if files:
        edge_files = EdgeFiles(files, schema)
        for row_group in edge_files.row_groups:
            yield edge_files.read(row_group)


def concatenate(parts: Sequence[EdgeColumns]) -> EdgeColumns:
    """Returns the edges of all parts, without weights; no parts give no edges."""
    none = np.empty(0, dtype=np.int64)
    return EdgeColumns(
        lhs=np.concatenate([none, *(part.lhs for part in parts)]),
        rel=np.concatenate([none, *(part.rel for part in parts)]),
        rhs=np.concatenate([none, *(part.rhs for part in parts)]),
        weight=None,
    )


def take(edges: EdgeColumns, which: Integers | npt.NDArray[np.bool_]) -> EdgeColumns:
    """Returns the edges at positions, or where a mask holds, without weights."""
    return EdgeColumns(
        lhs=edges.lhs[which], rel=edges.rel[which], rhs=edges.rhs[which], weight=None
    )
