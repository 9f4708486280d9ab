# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Parquet files of encoded edges: row groups, read and checked one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from twhin.errors import DataError, did_you_mean
from twhin.graph.edge_columns import EdgeBounds, EdgeColumns
from twhin.graph.prepare.input_files import find_files, is_url
from twhin.graph.schema import GraphSchema

_INDEX_COLUMNS = ("lhs", "rel", "rhs")
_INDEX_TYPES = (pa.int64(), pa.int32())
_WEIGHT_TYPES = (pa.float32(), pa.float64())
# Footers are read concurrently: over a network each takes a round trip or two.
_NUM_FOOTER_THREADS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """A row group of a file.

    Attributes:
      file: Position of the file in `EdgeFiles.paths`.
      index: Position of the row group in the file.
      num_rows: Its number of rows.
    """

    file: int
    index: int
    num_rows: int


class EdgeFiles:
    """Parquet files with columns `lhs`, `rel`, `rhs` and, by choice, `weight`.

    Indices are int64, or int32 and then widened; weights are float32, or float64
    and then rounded. Other columns are ignored.

    Attributes:
      paths: The files, in the order given, folders and globs in order of name.
      row_groups: All row groups that have rows, file by file.
      num_rows: The number of edges, at least 1.
      has_weight: Whether the files have weights: all of them or none.
    """

    def __init__(self, paths: Sequence[str], schema: GraphSchema) -> None:
        """Finds the files and reads their footers, but no edges.

        Args:
          paths: Files, folders, globs or fsspec URLs.
          schema: What the indices are checked against.

        Raises:
          DataError: No file, no edges, or a file that is not parquet or has not
            the columns.
        """
        self.paths = _expand(paths)
        self._bounds = EdgeBounds(schema)
        with futures.ThreadPoolExecutor(_NUM_FOOTER_THREADS) as pool:
            self._footers = list(pool.map(_read_footer, self.paths))
        self.has_weight = _check_columns(self.paths, self._footers)
        self.row_groups = tuple(
            RowGroup(file=file, index=index, num_rows=footer.row_group(index).num_rows)
            for file, footer in enumerate(self._footers)
            for index in range(footer.num_row_groups)
            if footer.row_group(index).num_rows
        )
        self.num_rows = sum(row_group.num_rows for row_group in self.row_groups)
        if not self.num_rows:
            raise DataError(f"{self.paths[0]}: no edges; expected at least one")

    def read(self, row_group: RowGroup) -> EdgeColumns:
        """Reads the edges of a row group.

        Raises:
          DataError: The file is damaged, or a value is null or out of range.
        """
        where = f"{self.paths[row_group.file]}: row group {row_group.index}"
        names = [*_INDEX_COLUMNS, *(["weight"] if self.has_weight else [])]
        table = self._read_columns(row_group, names)
        for name in names:
            _check_no_null(table[name], name, where)
        columns = EdgeColumns(
            lhs=_to_int64(table["lhs"]),
            rel=_to_int64(table["rel"]),
            rhs=_to_int64(table["rhs"]),
            weight=_to_float32(table["weight"]) if self.has_weight else None,
        )
        self._bounds.check(columns, where)
        return columns

    def count_relations(self, num_relations: int) -> NDArray[np.int64]:
        """Counts the edges of each relation; reads one column.

        Returns:
          [num_relations] int64; relations that are out of range are left out.
        """
        counts = np.zeros(num_relations, dtype=np.int64)
        for row_group in self.row_groups:
            rel = self._read_columns(row_group, ["rel"])["rel"].drop_null()
            values, found = np.unique(_to_int64(rel), return_counts=True)
            is_known = (values >= 0) & (values < num_relations)
            counts[values[is_known]] += found[is_known]
        return counts

    def _read_columns(self, row_group: RowGroup, names: list[str]) -> pa.Table:
        path = self.paths[row_group.file]
        with _reported(path), _open(path) as source:
            file = pq.ParquetFile(source, metadata=self._footers[row_group.file])
            # In the background of training: one thread, not all of the machine.
            return file.read_row_group(row_group.index, names, use_threads=False)


def read_edges(paths: Sequence[str], schema: GraphSchema) -> EdgeColumns:
    """Reads whole files into memory, in order.

    Args:
      paths: As in `EdgeFiles`.
      schema: As in `EdgeFiles`.

    Raises:
      DataError: As `EdgeFiles` and its `read`.
    """
    files = EdgeFiles(paths, schema)
    parts = [files.read(row_group) for row_group in files.row_groups]
    return EdgeColumns(
        lhs=np.concatenate([part.lhs for part in parts]),
        rel=np.concatenate([part.rel for part in parts]),
        rhs=np.concatenate([part.rhs for part in parts]),
        weight=np.concatenate(
            [part.weight for part in parts if part.weight is not None]
        )
        if files.has_weight
        else None,
    )


def _expand(paths: Sequence[str]) -> tuple[str, ...]:
    """Returns the files that the paths stand for, each once."""
    found = [file for path in paths for file in find_files(path, "edge files")]
    if not found:
        raise DataError("edge files: none given; expected at least one path")
    return tuple(dict.fromkeys(found))


@contextlib.contextmanager
def _open(path: str) -> Iterator[pa.NativeFile]:
    """Opens a local path or an fsspec URL."""
    if is_url(path):
        remote, inner = fsspec.core.url_to_fs(path)
        filesystem = fs.PyFileSystem(fs.FSSpecHandler(remote))
    else:
        filesystem, inner = fs.LocalFileSystem(use_mmap=True), path
    with filesystem.open_input_file(inner) as source:
        yield source


@contextlib.contextmanager
def _reported(path: str) -> Iterator[None]:
    """Turns failures to read `path` into errors that name it."""
    try:
        yield
    except (OSError, ImportError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: cannot be read: {reason}; expected a complete parquet file"
        ) from error


def _read_footer(path: str) -> pq.FileMetaData:
    with _reported(path), _open(path) as source:
        return pq.read_metadata(source)


def _check_columns(paths: Sequence[str], footers: Sequence[pq.FileMetaData]) -> bool:
    """Checks names and types of all files' columns; returns whether they have weights."""
    weighted = []
    for path, footer in zip(paths, footers, strict=True):
        schema = footer.schema.to_arrow_schema()
        for name in _INDEX_COLUMNS:
            if name not in schema.names:
                raise DataError(
                    f"{path}: column {name!r} is missing; the columns are "
                    f"{', '.join(map(repr, schema.names))}"
                    f"{did_you_mean(name, schema.names)}"
                )
            _check_type(path, schema.field(name), _INDEX_TYPES)
        if "weight" in schema.names:
            _check_type(path, schema.field("weight"), _WEIGHT_TYPES)
        weighted.append("weight" in schema.names)
    if any(weighted) and not all(weighted):
        raise DataError(
            f"{paths[weighted.index(False)]}: column 'weight' is missing; "
            f"{paths[weighted.index(True)]} has it: expected in all files or in none"
        )
    return weighted[0]


def _check_type(path: str, field: pa.Field, types: Sequence[pa.DataType]) -> None:
    if field.type not in types:
        raise DataError(
            f"{path}: column {field.name!r} has type {str(field.type)!r}; "
            f"expected {' or '.join(map(str, types))}"
        )


def _check_no_null(column: pa.ChunkedArray, name: str, where: str) -> None:
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy()))
        raise DataError(f"{where}, row {row}: {name} is null; expected a number")


def _to_int64(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(column.to_numpy()).astype(np.int64, copy=False)


def _to_float32(column: pa.ChunkedArray) -> NDArray[np.float32]:
    return np.asarray(column.to_numpy()).astype(np.float32, copy=False)
