# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rows of two models that stand for the same entity, joined by its id."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import duckdb
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from twhin.errors import DataError
from twhin.graph.manifest import VocabularyManifest
from twhin.graph.prepare.input_files import find_files
from twhin.graph.prepare.sql import literal
from twhin.graph.prepared_graph import PreparedGraph

_MEMORY_LIMIT = "512MB"
_BATCH_ROWS = 1 << 16
_VECTOR_COLUMNS = ("entity_type", "id", "vector")

Ids = NDArray[np.int64] | list[str]


def join_rows(
    earlier: PreparedGraph, graph: PreparedGraph, entity_type: str, rows: range
) -> NDArray[np.int64]:
    """Finds the rows that entities had in an earlier graph.

    A row that rare entities share is joined with the shared row of the earlier
    graph. DuckDB joins with at most 512 MB of memory, and uses disk beyond.

    Args:
      earlier: The earlier graph.
      graph: The graph of now.
      entity_type: The type of the entities.
      rows: Rows of the graph of now.

    Returns:
      [len(rows)] int64: for each of the rows the earlier one, -1 where the entity
      is new.

    Raises:
      DataError: A graph has no vocabulary or a damaged one, or the ids are of
        different types.
    """
    found = np.full(len(rows), -1, dtype=np.int64)
    ours = _vocabulary(graph, entity_type)
    if entity_type not in {t.name for t in earlier.schema.entity_types}:
        return found
    theirs = _vocabulary(earlier, entity_type)
    _check_id_type(f"{earlier.folder}", entity_type, theirs.id_type, ours.id_type)
    if theirs.files and ours.files:
        with _connect() as connection, _reported(earlier.folder):
            joined = connection.sql(
                f"SELECT now.index - {rows.start} AS place, earlier.index AS row"
                f" FROM {_scan(graph, ours)} AS now"
                f" JOIN {_scan(earlier, theirs)} AS earlier ON now.id = earlier.id"
                f" WHERE now.index >= {rows.start} AND now.index < {rows.stop}",
            ).fetchnumpy()
        found[joined["place"]] = joined["row"]
    if ours.shared_row in rows and theirs.shared_row is not None:
        assert ours.shared_row is not None
        found[ours.shared_row - rows.start] = theirs.shared_row
    return found


def iterate_ids(
    graph: PreparedGraph, entity_type: str, rows: range
) -> Iterator[tuple[int, Ids]]:
    """Yields the ids of rows, in runs of at most 65,536.

    Args:
      graph: The graph.
      entity_type: The type of the entities.
      rows: Its rows; one that rare entities share has no id.

    Yields:
      The first row of a run, and the ids from there on: int64 or strings.

    Raises:
      DataError: The graph has no vocabulary, or a damaged one.
    """
    vocabulary = _vocabulary(graph, entity_type)
    start = 0
    for file in vocabulary.files:
        # Files are in the order of the index, which has no gaps.
        stop = start + file.num_rows
        if start < rows.stop and rows.start < stop:
            yield from _read_ids(graph, file.path, start, rows)
        start = stop


def join_vectors(
    paths: Sequence[str], graph: PreparedGraph, entity_type: str, rows: range, dim: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Reads the given vectors of entities.

    Args:
      paths: Parquet files, globs or URLs with the columns `entity_type` (string),
        `id` and `vector` (list of numbers).
      graph: The graph.
      entity_type: The type of the entities.
      rows: The rows that vectors are wanted for.
      dim: D.

    Yields:
      Rows [n] int64 and their vectors [n, D] float32.

    Raises:
      DataError: A file cannot be read or has other columns, an id is of another
        type, or a vector has not D finite numbers.
    """
    files = [file for path in paths for file in find_files(path, "warm_start.vectors")]
    vocabulary = _vocabulary(graph, entity_type)
    for file in files if vocabulary.files else []:
        with (
            _reported(file),
            fsspec.open(file, "rb") as stream,
            _connect() as connection,
        ):
            connection.register("vectors", _open_vectors(stream, file, vocabulary))
            result = connection.sql(
                "SELECT now.index, vectors.vector FROM vectors"
                f" JOIN {_scan(graph, vocabulary)} AS now ON now.id = vectors.id"
                f" WHERE vectors.entity_type = {literal(entity_type)}"
                f" AND now.index >= {rows.start} AND now.index < {rows.stop}",
            )
            for batch in result.to_arrow_reader(_BATCH_ROWS):
                yield (
                    batch.column(0).to_numpy(),
                    _to_matrix(batch.column(1), dim, file),
                )


def _vocabulary(graph: PreparedGraph, entity_type: str) -> VocabularyManifest:
    if graph.manifest is None:
        raise DataError(
            "data.encoded: has no vocabulary to join by; allowed: a graph that"
            " //twhin:prepare has written"
        )
    return graph.manifest.vocabulary(entity_type)


def _check_id_type(where: str, entity_type: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise DataError(
            f"{where}: the ids of {entity_type!r} are of type {found!r}; those of the"
            f" graph are of type {wanted!r}; allowed: the same type"
        )


@contextmanager
def _connect() -> Iterator[duckdb.DuckDBPyConnection]:
    """Opens a database that spills what exceeds its memory to a folder of its own."""
    with tempfile.TemporaryDirectory() as spill:
        connection = duckdb.connect(
            config={
                "memory_limit": _MEMORY_LIMIT,
                "temp_directory": spill,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        with closing(connection):
            yield connection


@contextmanager
def _reported(where: object) -> Iterator[None]:
    """Turns failures of a join into errors that name what was read."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{where}: cannot be read ({reason}); allowed: complete parquet files"
        ) from error


def _scan(graph: PreparedGraph, vocabulary: VocabularyManifest) -> str:
    assert graph.folder is not None
    files = (literal(str(graph.folder / file.path)) for file in vocabulary.files)
    return f"read_parquet([{', '.join(files)}])"


def _read_ids(
    graph: PreparedGraph, path: str, first: int, rows: range
) -> Iterator[tuple[int, Ids]]:
    """Yields those ids of a file, whose first row is `first`, that are in `rows`."""
    assert graph.folder is not None
    file = graph.folder / path
    with _reported(file):
        for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS, columns=["id"]):
            low = max(rows.start - first, 0)
            high = min(rows.stop - first, batch.num_rows)
            if low < high:
                ids = batch.column(0)[low:high]
                is_text = pa.types.is_string(ids.type)
                yield first + low, ids.to_pylist() if is_text else ids.to_numpy()
            first += batch.num_rows


def _open_vectors(
    stream: Any, file: str, vocabulary: VocabularyManifest
) -> pa.RecordBatchReader:
    """Returns the rows of a file of vectors, with known columns and types."""
    parquet = pq.ParquetFile(stream)
    names = parquet.schema_arrow.names
    missing = [name for name in _VECTOR_COLUMNS if name not in names]
    if missing:
        raise DataError(
            f"{file}: column {missing[0]!r} is missing; the columns are {names}"
        )
    kind = parquet.schema_arrow.field("id").type
    found = "int64" if pa.types.is_integer(kind) else "string"
    _check_id_type(file, vocabulary.entity_type, found, vocabulary.id_type)
    schema = pa.schema(
        {
            "entity_type": pa.string(),
            "id": pa.int64() if found == "int64" else pa.string(),
            "vector": pa.list_(pa.float32()),
        }
    )
    batches = parquet.iter_batches(_BATCH_ROWS, columns=list(_VECTOR_COLUMNS))
    return pa.RecordBatchReader.from_batches(
        schema, (batch.select(schema.names).cast(schema) for batch in batches)
    )


def _to_matrix(column: pa.ListArray, dim: int, file: str) -> NDArray[np.float32]:
    """Returns lists of equal length as [n, D]."""
    lengths = column.value_lengths().fill_null(-1).to_numpy()
    if (lengths != dim).any():
        wrong = int(lengths[lengths != dim][0])
        raise DataError(f"{file}: a vector has {max(wrong, 0)} numbers; allowed: {dim}")
    values: NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=False)
    if not np.isfinite(values).all():
        raise DataError(f"{file}: a vector is not finite; allowed: finite numbers")
    return values.reshape(-1, dim)
