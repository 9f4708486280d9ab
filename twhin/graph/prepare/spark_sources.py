# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Reads the files of sources with Spark."""

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from twhin.config.settings import FileFormat
from twhin.graph.prepare import text_files
from twhin.graph.prepare.input_files import RawSource, is_url
from twhin.graph.prepare.kept_rows import kept_expression
from twhin.graph.prepare.source_columns import (
    DELIMITERS,
    ColumnKind,
    SourceColumns,
    mapped_columns,
)
from twhin.graph.prepare.sql import constant

_FILE, _ROW = "twhin_file", "twhin_row"
# Types of columns as views have them. Times keep theirs.
_TYPES = {
    ColumnKind.INTEGER: "BIGINT",
    ColumnKind.STRING: "STRING",
    ColumnKind.FLOAT: "DOUBLE",
    ColumnKind.TEXT: "STRING",
}
# The path of a URI "file:///a%20b", in which a plus is a plus.
_PATH_OF_URI = (
    "regexp_replace(url_decode(replace(_metadata.file_path, '+', '%2B')),"
    " '^file:/+', '/')"
)


def read_files(
    session: SparkSession, source: RawSource, columns: SourceColumns, unpacked: Path
) -> DataFrame:
    """Reads all columns of all files, and for each row its file and its number.

    Args:
      session: The session.
      source: The source.
      columns: Its columns.
      unpacked: A folder for the content of zip and zstd files, which Spark does not
        read.
    """
    origins = {file: _unpack(file, unpacked) for file in source.files}
    files_by_layout: dict[str, list[str]] = {}
    for file, layout in zip(source.files, columns.layouts, strict=True):
        files_by_layout.setdefault(layout, []).append(origins[file])
    names = dict(zip(columns.layouts, columns.names, strict=True))
    frames = [
        _read_layout(session, source, files, names[layout], origins)
        for layout, files in files_by_layout.items()
    ]
    return functools.reduce(
        lambda one, other: one.unionByName(other, allowMissingColumns=True), frames
    )


def view_query(source: RawSource, columns: SourceColumns, table: str) -> str:
    """Returns a query with the columns of a source's view.

    Args:
      source: The source.
      columns: Its columns.
      table: The view of what `read_files` returned.
    """
    selected = []
    for field, name in mapped_columns(source.settings).items():
        kind = _TYPES.get(columns.kinds[field])
        value = _quote(name) if kind is None else f"CAST({_quote(name)} AS {kind})"
        selected.append(f"{value} AS {field}")
    kept = kept_expression(source.settings, _quote)
    selected += [f"{kept} AS kept", f"{_FILE} AS file", f"{_ROW} AS row_number"]
    return f"SELECT {', '.join(selected)} FROM {table}"


def _read_layout(
    session: SparkSession,
    source: RawSource,
    files: list[str],
    names: tuple[str, ...],
    origins: Mapping[str, str],
) -> DataFrame:
    """Reads files with equal columns."""
    paths = [file if is_url(file) else f"file://{file}" for file in files]
    file, values = _origin(origins), [_quote(name) for name in names]
    settings = source.settings
    if settings.format is FileFormat.PARQUET:
        frame = session.read.parquet(*paths)
        row = "_metadata.row_index"
        return frame.selectExpr(*values, f"{file} AS {_FILE}", f"{row} AS {_ROW}")
    reader = session.read.schema(_text_schema(names)).option("mode", "FAILFAST")
    if settings.format is FileFormat.JSON_LINES:
        frame = reader.json(paths)
    else:
        frame = reader.csv(
            paths,
            sep=DELIMITERS[settings.format],
            header=not settings.columns,
            quote='"',
            escape='"',
        )
        values = [f"NULLIF({value}, '') AS {value}" for value in values]
    return frame.selectExpr(
        *values, f"{file} AS {_FILE}", f"CAST(NULL AS BIGINT) AS {_ROW}"
    )


def _unpack(file: str, folder: Path) -> str:
    if file.endswith(".zip"):
        return text_files.unzip(file, folder)
    if file.endswith(".zst"):
        return text_files.decompress(file, folder)
    return file


def _origin(origins: Mapping[str, str]) -> str:
    """Returns SQL for the path of a row's file, as the configuration names it."""
    cases = " ".join(
        f"WHEN {constant(path)} THEN {constant(file)}"
        for file, path in origins.items()
        if path != file
    )
    return (
        f"CASE {_PATH_OF_URI} {cases} ELSE {_PATH_OF_URI} END"
        if cases
        else _PATH_OF_URI
    )


def _text_schema(names: Iterable[str]) -> str:
    return ", ".join(f"{_quote(name)} STRING" for name in names)


def _quote(name: str) -> str:
    escaped = name.replace("`", "``")
    return f"`{escaped}`"
