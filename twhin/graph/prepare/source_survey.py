# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""One look at every source: its relations, its counts, and values that are wrong."""

from dataclasses import dataclass

from twhin.errors import DataError
from twhin.graph.prepare.engine import Engine
from twhin.graph.prepare.input_files import RawSource
from twhin.graph.prepare.source_columns import (
    ColumnKind,
    SourceColumns,
    mapped_columns,
)
from twhin.graph.prepare.sql import constant

MIN_WEIGHT = 1.17549435e-38
MAX_WEIGHT = 3.4028234e38
"""Weights are stored as float32; these are its positive normal numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationCounts:
    """Rows of one relation in one source, after the filter.

    Attributes:
      num_edges: All of them.
      num_text_lhs: Those with a lhs id in a text file that is not an integer as
        it would be printed.
      num_text_rhs: The same for the rhs.
    """

    num_edges: int
    num_text_lhs: int
    num_text_rhs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSurvey:
    """What a source holds.

    Attributes:
      source: The source.
      columns: Its columns.
      num_filtered: Rows that filter and sampling left out.
      relations: Counts by relation name, sorted by name.
    """

    source: RawSource
    columns: SourceColumns
    num_filtered: int
    relations: dict[str, RelationCounts]

    @property
    def num_edges(self) -> int:
        """Rows after the filter."""
        return sum(counts.num_edges for counts in self.relations.values())


def survey(engine: Engine, source: RawSource, columns: SourceColumns) -> SourceSurvey:
    """Counts the rows of a source by relation and checks their values.

    Raises:
      DataError: An id or a relation is null, a weight is not a positive float32,
        or a time is null or no time; the message names the first such row.
    """
    rows = engine.rows(_survey_query(engine, source, columns))
    ((num_rows,),) = engine.rows(f"SELECT count(*) FROM {source.view}")
    wrong = _wrong_values(engine, columns)
    relations = {}
    for name, num_edges, num_text_lhs, num_text_rhs, *num_wrong in rows:
        for (field, condition), count in zip(wrong, num_wrong, strict=True):
            if count:
                raise wrong_value(engine, source, field, condition)
        if num_edges:
            relations[name] = RelationCounts(
                num_edges=num_edges,
                num_text_lhs=num_text_lhs,
                num_text_rhs=num_text_rhs,
            )
    num_kept = sum(counts.num_edges for counts in relations.values())
    if num_rows == 0:
        raise DataError(f"{source.where}: the files have no rows; allowed: edges")
    return SourceSurvey(
        source=source,
        columns=columns,
        num_filtered=num_rows - num_kept,
        relations=dict(sorted(relations.items())),
    )


def time_expression(engine: Engine, kind: ColumnKind) -> str:
    """Returns SQL for the column `timestamp` as an integer.

    Integers count as they are, timestamps as microseconds since 1970.
    """
    if kind is ColumnKind.INTEGER:
        return "CAST(timestamp AS BIGINT)"
    if kind is ColumnKind.TIMESTAMP:
        return engine.micros("timestamp")
    as_time = engine.micros("TRY_CAST(timestamp AS TIMESTAMP)")
    return f"COALESCE(TRY_CAST(timestamp AS BIGINT), {as_time})"


def is_text_id(field: str) -> str:
    """Returns SQL: whether the text of an id is not an integer as it is printed."""
    return f"COALESCE(CAST(TRY_CAST({field} AS BIGINT) AS STRING) <> {field}, TRUE)"


def wrong_value(
    engine: Engine, source: RawSource, field: str, condition: str
) -> DataError:
    """Returns the error about the first row of a source with a wrong value.

    Args:
      engine: The engine that has opened the source.
      source: The source.
      field: "lhs", "rhs", "rel", "weight" or "timestamp".
      condition: SQL that is true where the value is wrong.
    """
    row = engine.rows(
        f"SELECT file, row_number, CAST({field} AS STRING) FROM {source.view}"
        f" WHERE kept AND {condition} ORDER BY file, row_number LIMIT 1"
    )
    file, row_number, value = row[0]
    place = "" if row_number is None else f" row {row_number},"
    shown = "null" if value is None else repr(value)
    allowed = {
        "weight": "numbers in (0, inf) that float32 can hold",
        "timestamp": "integers or timestamps",
    }.get(field, "no null")
    if value is not None and field in ("lhs", "rhs"):
        allowed = "integers, like the other ids of the entity type"
    column = mapped_columns(source.settings)[field]
    return DataError(f"{file}:{place} column {column!r} is {shown}; allowed: {allowed}")


def _survey_query(engine: Engine, source: RawSource, columns: SourceColumns) -> str:
    name = "CAST(rel AS STRING)"
    if source.settings.relation is not None:
        name = constant(source.settings.relation)
    parts = [f"{name} AS name", "count(*)"]
    for field in ("lhs", "rhs"):
        is_text = columns.kinds[field] is ColumnKind.TEXT
        parts.append(_count(is_text_id(field)) if is_text else "0")
    parts += [_count(condition) for _, condition in _wrong_values(engine, columns)]
    return f"SELECT {', '.join(parts)} FROM {source.view} WHERE kept GROUP BY 1"


def _wrong_values(engine: Engine, columns: SourceColumns) -> list[tuple[str, str]]:
    """Returns pairs of a field and the condition under which it is wrong."""
    wrong: list[tuple[str, str]] = [
        (field, f"{field} IS NULL")
        for field in ("lhs", "rhs", "rel")
        if field in columns.kinds
    ]
    if "weight" in columns.kinds:
        weight = "TRY_CAST(weight AS DOUBLE)"
        # The difference finds NaN, for which the statistics of parquet files, and
        # with them DuckDB's comparisons and isnan, are blind.
        in_range = (
            f"{weight} >= {MIN_WEIGHT} AND {weight} <= {MAX_WEIGHT}"
            f" AND {weight} - {weight} = 0"
        )
        wrong.append(("weight", f"NOT COALESCE({in_range}, FALSE)"))
    if "timestamp" in columns.kinds:
        time = time_expression(engine, columns.kinds["timestamp"])
        wrong.append(("timestamp", f"{time} IS NULL"))
    return wrong


def _count(condition: str) -> str:
    if condition.endswith(" IS NULL"):
        # Statistics of the files often answer this without reading a value.
        return f"count(*) - count({condition.removesuffix(' IS NULL')})"
    return f"CAST(sum(CASE WHEN {condition} THEN 1 ELSE 0 END) AS BIGINT)"
