# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Pieces of SQL that every engine understands."""

from collections.abc import Sequence


def literal(text: str) -> str:
    """Returns a string literal as DuckDB reads it."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def constant(text: str) -> str:
    """Returns an expression for a string that every engine reads alike.

    Spark takes a doubled quote for two literals, and joins them.
    """
    parts = (f"'{part}'" for part in text.split("'"))
    return f"({' || chr(39) || '.join(parts)})"


def values(rows: Sequence[tuple[str | int | bool, ...]], names: str) -> str:
    """Returns a query for constant rows, at least one.

    Args:
      rows: The rows.
      names: The names of the columns, with commas.
    """
    texts = (f"({', '.join(_constant(value) for value in row)})" for row in rows)
    return f"SELECT * FROM (VALUES {', '.join(texts)}) AS constants({names})"


def union_all(queries: Sequence[str]) -> str:
    """Returns the rows of all queries, at least one, with equal columns."""
    return " UNION ALL ".join(queries)


def _constant(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return f"CAST({value} AS BIGINT)"
    return constant(value)
