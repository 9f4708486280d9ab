# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The columns of raw files, checked before any engine reads a row."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from twhin.config.settings import EdgeSource, FileFormat
from twhin.errors import DataError, did_you_mean
from twhin.graph.prepare import text_files
from twhin.graph.prepare.input_files import RawSource


class ColumnKind(StrEnum):
    """What a column holds; TEXT is a column of a file without types."""

    INTEGER = "integer"
    STRING = "string"
    FLOAT = "float"
    TIMESTAMP = "timestamp"
    TEXT = "text"


DELIMITERS = {FileFormat.CSV: ",", FileFormat.TSV: "\t"}

_ALLOWED = {
    "lhs": (ColumnKind.INTEGER, ColumnKind.STRING, ColumnKind.TEXT),
    "rhs": (ColumnKind.INTEGER, ColumnKind.STRING, ColumnKind.TEXT),
    "rel": (ColumnKind.INTEGER, ColumnKind.STRING, ColumnKind.TEXT),
    "weight": (ColumnKind.INTEGER, ColumnKind.FLOAT, ColumnKind.TEXT),
    "timestamp": (ColumnKind.INTEGER, ColumnKind.TIMESTAMP, ColumnKind.TEXT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceColumns:
    """The columns of one source.

    Attributes:
      kinds: The kind of each mapped column, by "lhs", "rhs", "rel", "weight",
        "timestamp".
      names: All columns of each file, in order.
      layouts: For each file a text; equal ones mean equal columns of equal types.
      num_rows: Rows of all files; None for text.
    """

    kinds: dict[str, ColumnKind]
    names: tuple[tuple[str, ...], ...]
    layouts: tuple[str, ...]
    num_rows: int | None


def mapped_columns(settings: EdgeSource) -> dict[str, str]:
    """Returns the column of each mapped field that a source sets."""
    columns = {
        "lhs": settings.lhs,
        "rhs": settings.rhs,
        "rel": settings.rel,
        "weight": settings.weight,
        "timestamp": settings.timestamp,
    }
    return {field: name for field, name in columns.items() if name is not None}


def read_columns(source: RawSource) -> SourceColumns:
    """Reads and checks the columns of all files of a source.

    Raises:
      DataError: A file cannot be read, lacks a mapped column, or has it with a
        wrong type or another type than the first file.
    """
    if source.settings.format is FileFormat.PARQUET:
        return _read_parquet_columns(source)
    columns = mapped_columns(source.settings)
    all_names = []
    for file in source.files:
        names = _text_names(source.settings, file)
        for field, name in columns.items():
            _check_present(file, field, name, names)
        all_names.append(names)
    return SourceColumns(
        kinds=dict.fromkeys(columns, ColumnKind.TEXT),
        names=tuple(all_names),
        layouts=tuple(map(repr, all_names)),
        num_rows=None,
    )


def _text_names(settings: EdgeSource, file: str) -> tuple[str, ...]:
    if settings.columns:
        return settings.columns
    if settings.format is FileFormat.JSON_LINES:
        return text_files.read_keys(file)
    return text_files.read_header(file, DELIMITERS[settings.format])


def _read_parquet_columns(source: RawSource) -> SourceColumns:
    columns = mapped_columns(source.settings)
    kinds: dict[str, ColumnKind] = {}
    schemas = []
    num_rows = 0
    for file in source.files:
        schema, rows = _read_parquet_schema(file)
        num_rows += rows
        schemas.append(schema)
        for field, name in columns.items():
            _check_present(file, field, name, schema.names)
            kind = _check_kind(file, field, name, schema.field(name).type)
            if kinds.setdefault(field, kind) != kind and field != "weight":
                raise DataError(
                    f"{file}: column {name!r} holds {kind}s; allowed: {kinds[field]}s,"
                    f" as in {source.files[0]!r}"
                )
    if num_rows == 0:
        raise DataError(f"{source.where}: the files have no rows; allowed: edges")
    return SourceColumns(
        kinds=kinds,
        names=tuple(tuple(schema.names) for schema in schemas),
        layouts=tuple(str(schema.remove_metadata()) for schema in schemas),
        num_rows=num_rows,
    )


def _read_parquet_schema(file: str) -> tuple[pa.Schema, int]:
    try:
        with fsspec.open(file, "rb") as stream:
            metadata = pq.read_metadata(stream)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{file}: cannot be read as parquet ({reason}); allowed: complete parquet"
            " files"
        ) from error
    return metadata.schema.to_arrow_schema(), metadata.num_rows


def _check_present(file: str, field: str, name: str, names: Iterable[str]) -> None:
    names = list(names)
    if name not in names:
        raise DataError(
            f"{file}: no column {name!r} for {field!r}; allowed: one of"
            f" {', '.join(map(repr, names))}{did_you_mean(name, names)}"
        )


def _check_kind(file: str, field: str, name: str, kind: pa.DataType) -> ColumnKind:
    found = _kind_of(kind)
    if found not in _ALLOWED[field]:
        allowed = [k.value for k in _ALLOWED[field] if k is not ColumnKind.TEXT]
        raise DataError(
            f"{file}: column {name!r} for {field!r} has the type {str(kind)!r};"
            f" allowed: {' or '.join(allowed)}"
        )
    assert found is not None
    return found


def _kind_of(kind: pa.DataType) -> ColumnKind | None:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind):
        return ColumnKind.INTEGER
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return ColumnKind.STRING
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return ColumnKind.FLOAT
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return ColumnKind.TIMESTAMP
    return None
