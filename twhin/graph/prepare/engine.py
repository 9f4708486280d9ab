# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What executes a preparation.

The work is defined once, as SQL that every engine understands (sources,
relations, splits, vocabularies, encoding); an engine reads files, runs that SQL
and writes files. Names of views are ours; an engine keeps them until it closes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from twhin.graph.prepare.input_files import RawSource
from twhin.graph.prepare.source_columns import SourceColumns

Progress = Callable[[str, float], None]
"""Called with the name of the running step and its done share in [0, 1]."""


def silent(step: str, fraction: float) -> None:
    """Reports no progress."""


class Engine(Protocol):
    """Runs the steps of a preparation; one object for one preparation."""

    def begin(self, step: str) -> None:
        """Names the step that the following calls belong to, for progress."""

    def open_source(self, source: RawSource, columns: SourceColumns) -> None:
        """Makes the view `source.view` over the files of a source.

        Its columns: those of `columns.kinds`, with the types of the files (text
        for text files); `kept`, a boolean, whether filter and sampling
        keep the row; `file`, the
        path of the row's file; `row_number`, from 0 in its file, null for text.

        Raises:
          DataError: A file is damaged, or the filter cannot be evaluated.
        """

    def materialize(self, view: str, sql: str) -> None:
        """Runs a query once and makes its rows, in any order, the view `view`."""

    def define(self, view: str, sql: str) -> None:
        """Makes `view` a name for a query."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Returns the rows of a query with a small result."""

    def scan(self, folder: Path) -> str:
        """Returns the text that stands for all parquet files of a folder in SQL."""

    def write_indexed(
        self, sql: str, *, order_by: str, start: int, limit: int | None, folder: Path
    ) -> int:
        """Numbers the rows of a query in a total order and writes them.

        Args:
          sql: A query with columns `id` and `degree`, and those of `order_by`.
          order_by: The sort expressions; they order all rows.
          start: The first number.
          limit: The largest count of rows that are written; None for all.
          folder: Where a further file of `id, index, degree` is written; its name
            sorts behind those that are there.

        Returns:
          The number of rows written.
        """

    def write_edges(
        self, sql: str, *, columns: tuple[str, ...], num_edges: int, folder: Path
    ) -> None:
        """Shuffles the rows of a query and writes them to files of a new folder.

        Args:
          sql: A query with columns `lhs`, `rel`, `rhs` (int64) and by choice
            `weight` (float32).
          columns: The columns of the query.
          num_edges: About the number of rows.
          folder: Where the files are written; none for no rows.
        """

    def micros(self, expression: str) -> str:
        """Returns SQL for the microseconds since 1970 of a timestamp or a date."""

    def ordered_sum(self, expression: str) -> str:
        """Returns an SQL aggregate: the sum of doubles, added in rising order.

        The order makes the rounding, and with it every bit, the same each time.
        """

    def close(self) -> None:
        """Frees what the engine holds."""
