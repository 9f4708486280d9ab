# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Encoded edges as arrays, read from the files of a split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from twhin.errors import DataError
from twhin.graph.schema import GraphSchema

_BATCH_EDGES = 1 << 20

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """E edges, in any order.

    Attributes:
      lhs: [E] int64, row in the table of the relation's lhs entity type.
      rel: [E] int64, index of the relation in the schema.
      rhs: [E] int64, row in the table of the relation's rhs entity type.
    """

    lhs: Integers
    rel: Integers
    rhs: Integers

    def __len__(self) -> int:
        """Returns E."""
        return len(self.rel)

    def take(self, which: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Edges":
        """Returns the edges at positions, or those where a mask holds."""
        return Edges(lhs=self.lhs[which], rel=self.rel[which], rhs=self.rhs[which])


def read_edges(files: Sequence[str], schema: GraphSchema) -> Iterator[Edges]:
    """Reads the edges of a split, at most 2 ** 20 at a time.

    Args:
      files: Paths or URLs of parquet files with the columns lhs, rel, rhs.
      schema: What the indices must lie in.

    Raises:
      DataError: A file cannot be read, or has an index out of range.
    """
    for file in files:
        num_read = 0
        for batch in _read_batches(file):
            edges = Edges(
                lhs=_column(batch, "lhs", file),
                rel=_column(batch, "rel", file),
                rhs=_column(batch, "rhs", file),
            )
            _check_bounds(edges, schema, file, num_read)
            num_read += len(edges)
            yield edges


def concatenate(parts: Sequence[Edges]) -> Edges:
    """Returns the edges of all parts; no parts give no edges."""
    none = np.empty(0, dtype=np.int64)
    return Edges(
        lhs=np.concatenate([none, *(part.lhs for part in parts)]),
        rel=np.concatenate([none, *(part.rel for part in parts)]),
        rhs=np.concatenate([none, *(part.rhs for part in parts)]),
    )


def _read_batches(file: str) -> Iterator[pa.RecordBatch]:
    try:
        with fsspec.open(file, "rb") as stream:
            yield from pq.ParquetFile(stream).iter_batches(
                _BATCH_EDGES, columns=["lhs", "rel", "rhs"]
            )
    except (OSError, pa.ArrowException) as err:
        raise DataError(
            f"{file}: cannot be read ({err}); allowed: parquet with the columns 'lhs',"
            " 'rel', 'rhs'"
        ) from err


def _column(batch: pa.RecordBatch, name: str, file: str) -> Integers:
    if name not in batch.schema.names:
        raise DataError(
            f"{file}: has no column {name!r}; allowed: parquet with the columns"
            " 'lhs', 'rel', 'rhs'"
        )
    column = batch.column(name)
    if column.null_count or not pa.types.is_integer(column.type):
        raise DataError(
            f"{file}: column {name!r} has type {str(column.type)!r} and"
            f" {column.null_count} nulls; allowed: integers without nulls"
        )
    values: Integers = column.to_numpy().astype(np.int64, copy=False)
    return values


def _check_bounds(edges: Edges, schema: GraphSchema, file: str, start: int) -> None:
    """Raises for the first edge with an index out of range."""
    _check_column(edges.rel, np.int64(len(schema.relations)), "rel", file, start)
    sizes = {each.name: each.num_entities for each in schema.entity_types}
    lhs_sizes = np.array([sizes[each.lhs] for each in schema.relations], np.int64)
    rhs_sizes = np.array([sizes[each.rhs] for each in schema.relations], np.int64)
    _check_column(edges.lhs, lhs_sizes[edges.rel], "lhs", file, start)
    _check_column(edges.rhs, rhs_sizes[edges.rel], "rhs", file, start)


def _check_column(
    values: Integers, bounds: Integers | np.int64, name: str, file: str, start: int
) -> None:
    wrong = (values < 0) | (values >= bounds)
    if wrong.any():
        place = int(wrong.argmax())
        bound = int(np.broadcast_to(bounds, values.shape)[place])
        raise DataError(
            f"{file}: row {start + place}: {name} is {int(values[place])}; allowed:"
            f" [0, {bound})"
        )
