# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""DuckDB queries over the files of a source."""

from pathlib import Path

from twhin.config.settings import FileFormat
from twhin.graph.prepare import text_files
from twhin.graph.prepare.input_files import RawSource
from twhin.graph.prepare.kept_rows import kept_expression
from twhin.graph.prepare.source_columns import (
    DELIMITERS,
    SourceColumns,
    mapped_columns,
)
from twhin.graph.prepare.sql import literal


def parquet_query(source: RawSource) -> str:
    """Returns a query over parquet files, with the columns of a source's view."""
    files = _list(source.files)
    table = (
        f"read_parquet({files}, union_by_name = true, filename = 'twhin_file',"
        " file_row_number = true)"
    )
    return _select(source, "twhin_file", "file_row_number", table)


def text_query(source: RawSource, columns: SourceColumns, unzip_folder: Path) -> str:
    """Returns a query over text files, with the columns of a source's view.

    Args:
      source: The source.
      columns: Its columns.
      unzip_folder: Where members of zip files are written.
    """
    files_by_names: dict[tuple[str, ...], list[str]] = {}
    origins = {}
    for file, names in zip(source.files, columns.names, strict=True):
        path = file
        if file.endswith(".zip"):
            path = text_files.unzip(file, unzip_folder)
            origins[path] = file
        files_by_names.setdefault(names, []).append(path)
    origin = "twhin_file"
    if origins:
        cases = " ".join(
            f"WHEN twhin_file = {literal(path)} THEN {literal(file)}"
            for path, file in origins.items()
        )
        origin = f"CASE {cases} ELSE twhin_file END"
    return " UNION ALL ".join(
        _select(source, origin, "NULL", _text_table(source, names, files))
        for names, files in files_by_names.items()
    )


def _text_table(source: RawSource, names: tuple[str, ...], files: list[str]) -> str:
    kinds = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    if source.settings.format is FileFormat.JSON_LINES:
        return (
            f"(SELECT *, filename AS twhin_file FROM read_json({_list(files)},"
            f" format = 'newline_delimited', columns = {{{kinds}}},"
            " filename = true))"
        )
    has_header = "false" if source.settings.columns else "true"
    delimiter = literal(DELIMITERS[source.settings.format])
    return (
        f"(SELECT *, filename AS twhin_file FROM read_csv({_list(files)},"
        f" columns = {{{kinds}}}, header = {has_header}, delim = {delimiter},"
        " quote = '\"', escape = '\"', auto_detect = false, filename = true))"
    )


def _select(source: RawSource, file: str, row_number: str, table: str) -> str:
    columns = [
        f"{_quote(name)} AS {field}"
        for field, name in mapped_columns(source.settings).items()
    ]
    kept = kept_expression(source.settings, _quote)
    columns += [f"{kept} AS kept", f"{file} AS file", f"{row_number} AS row_number"]
    return f"SELECT {', '.join(columns)} FROM {table}"


def _list(files: tuple[str, ...] | list[str]) -> str:
    return f"[{', '.join(literal(file) for file in files)}]"


def _quote(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
