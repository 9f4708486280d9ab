# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The embedded engine: DuckDB, in memory as far as it goes, then on disk."""

import contextlib
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import fsspec

from twhin.config.settings import FileFormat
from twhin.errors import DataError
from twhin.graph.prepare import (
    damaged_file,
    duckdb_sources,
    edge_shuffle,
    vocabulary_file,
)
from twhin.graph.prepare.engine import Progress
from twhin.graph.prepare.input_files import RawSource, is_url
from twhin.graph.prepare.source_columns import SourceColumns
from twhin.graph.prepare.sql import literal

_POLL_SECS = 0.2
# Bit-packed deltas: indices take as many bits as they need, and read fast.
_EDGES_FORMAT = "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION uncompressed"

_OUR_MISTAKES = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.InternalException,
    duckdb.ParserException,
)
_CSV_FILE = re.compile(r"^\s*file = (.+)$", re.MULTILINE)


class DuckDBEngine:
    """An `Engine` in this process."""

    def __init__(
        self,
        work: Path,
        *,
        memory_limit_bytes: int,
        num_threads: int,
        progress: Progress,
    ) -> None:
        """Opens a database.

        Args:
          work: An empty folder for intermediate files and for what exceeds the
            memory limit.
          memory_limit_bytes: The bound on DuckDB's buffers.
          num_threads: Threads of queries, at least 1.
          progress: Told about the steps.
        """
        self._work = work
        self._progress = progress
        self._step = "start"
        self._connection = duckdb.connect(
            config={
                "memory_limit": f"{memory_limit_bytes}B",
                "threads": num_threads,
                "temp_directory": str(work / "spill"),
                "partitioned_write_max_open_files": edge_shuffle.MAX_PARTITIONS + 1,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        self._connection.execute("SET enable_progress_bar = true")
        self._connection.execute("SET enable_progress_bar_print = false")
        self._filesystems: set[str] = set()
        self._parquet_sources: list[RawSource] = []

    def begin(self, step: str) -> None:
        """Names the step that the following calls belong to."""
        self._step = step
        self._progress(step, 0.0)

    def open_source(self, source: RawSource, columns: SourceColumns) -> None:
        """Makes the view of a source; text files are rewritten as parquet."""
        self._register_filesystems(source.files)
        try:
            if source.settings.format is FileFormat.PARQUET:
                self._parquet_sources.append(source)
                self.define(source.view, duckdb_sources.parquet_query(source))
                return
            unzipped = self._work / f"{source.view}_unzipped"
            query = duckdb_sources.text_query(source, columns, unzipped)
            self.materialize(source.view, query)
            shutil.rmtree(unzipped, ignore_errors=True)
        except (duckdb.BinderException, duckdb.ParserException) as error:
            raise DataError(
                f"{source.where}.filter: {source.settings.filter!r} cannot be evaluated"
                f" ({_one_line(error)}); allowed: a condition in SQL over the columns"
                " of the files"
            ) from error

    def materialize(self, view: str, sql: str) -> None:
        """Writes the rows of a query to parquet files and makes them a view."""
        folder = self._work / view
        self._copy(sql, folder, "FORMAT parquet, PER_THREAD_OUTPUT true", ordered=False)
        self.define(view, f"SELECT * FROM {self.scan(folder)}")

    def define(self, view: str, sql: str) -> None:
        """Makes `view` a name for a query."""
        self.rows(f"CREATE VIEW {view} AS {sql}")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Returns the rows of a query."""
        with self._errors(), self._polled():
            result: list[tuple[Any, ...]] = self._connection.execute(sql).fetchall()
            return result

    def scan(self, folder: Path) -> str:
        """Returns the text that stands for the parquet files of a folder."""
        return f"read_parquet({literal(str(folder / '*.parquet'))})"

    def write_indexed(
        self, sql: str, *, order_by: str, start: int, limit: int | None, folder: Path
    ) -> int:
        """Sorts, numbers and writes rows of `id, degree`."""
        bound = "" if limit is None else f" LIMIT {limit}"
        query = f"SELECT id, degree FROM ({sql}) ORDER BY {order_by}{bound}"
        with self._errors(), self._polled():
            rows = self._connection.sql(query).to_arrow_reader(
                vocabulary_file.ROW_GROUP_ROWS
            )
            return vocabulary_file.write_numbered(
                rows, start=start, limit=limit, folder=folder
            )

    def write_edges(
        self, sql: str, *, columns: tuple[str, ...], num_edges: int, folder: Path
    ) -> None:
        """Writes edges to one file for each partition, then sorts each by itself."""
        folder.mkdir(parents=True)
        shuffle = self._work / "shuffle"
        num_partitions = edge_shuffle.num_partitions(num_edges)
        self._copy(
            edge_shuffle.partitioned(sql, columns, num_partitions),
            shuffle,
            f"{_EDGES_FORMAT}, PARTITION_BY (p)",
            ordered=False,
        )
        rows = edge_shuffle.row_group_edges(num_edges)
        step = self._step
        for partition in range(num_partitions):
            self.begin(f"{step}, partition {partition + 1} of {num_partitions}")
            source = shuffle / f"p={partition}"
            if not source.exists():
                continue
            self._copy(
                f"SELECT {', '.join(columns)} FROM {self.scan(source)}"
                f" ORDER BY {edge_shuffle.order_by(columns)}",
                folder / f"part-{partition:05d}.parquet",
                f"{_EDGES_FORMAT}, ROW_GROUP_SIZE {rows}",
                ordered=True,
            )
            shutil.rmtree(source)
        shutil.rmtree(shuffle, ignore_errors=True)

    def micros(self, expression: str) -> str:
        """Returns SQL for the microseconds since 1970."""
        return f"epoch_us(CAST({expression} AS TIMESTAMP))"

    def ordered_sum(self, expression: str) -> str:
        """Returns an aggregate that adds in rising order."""
        return f"sum({expression} ORDER BY {expression})"

    def close(self) -> None:
        """Closes the database."""
        self._connection.close()

    def _copy(self, sql: str, path: Path, options: str, *, ordered: bool) -> int:
        preserved = "true" if ordered else "false"
        self.rows(f"SET preserve_insertion_order = {preserved}")
        ((count,),) = self.rows(f"COPY ({sql}) TO {literal(str(path))} ({options})")
        return int(count)

    def _register_filesystems(self, files: tuple[str, ...]) -> None:
        for protocol in {file.split("://")[0] for file in files if is_url(file)}:
            if protocol not in self._filesystems:
                self._connection.register_filesystem(fsspec.filesystem(protocol))
                self._filesystems.add(protocol)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns what users can cause into `DataError`."""
        try:
            yield
        except duckdb.OutOfMemoryException as error:
            raise DataError(
                f"{self._step}: memory or disk is exhausted ({_one_line(error)});"
                f" allowed: a larger memory limit, or more space below"
                f" {str(self._work.parent)!r}"
            ) from error
        except duckdb.IOException as error:
            if "No space left on device" in str(error):
                raise DataError(
                    f"{self._step}: the disk is full ({_one_line(error)}); allowed: more"
                    f" space below {str(self._work.parent)!r}"
                ) from error
            raise DataError(
                f"{self._step}: a file cannot be read or written"
                f" ({_one_line(error)}); allowed: complete input files, and free"
                f" space below {str(self._work.parent)!r}"
            ) from error
        except _OUR_MISTAKES:
            raise
        except duckdb.Error as error:
            damage = damaged_file.find_damage(self._parquet_sources)
            place = _CSV_FILE.search(str(error))
            raise DataError(
                damage
                or f"{place[1] if place else self._step}: a value cannot be read"
                f" ({_one_line(error)}); allowed: values of the column's type"
            ) from error

    @contextlib.contextmanager
    def _polled(self) -> Iterator[None]:
        """Reports the progress of a running query from a thread."""
        done = threading.Event()

        def poll() -> None:
            while not done.wait(_POLL_SECS):
                percent = self._connection.query_progress()
                if percent >= 0:
                    self._progress(self._step, percent / 100)

        thread = threading.Thread(target=poll, name="duckdb-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _one_line(error: Exception) -> str:
    text = str(error).split("Possible fixes:")[0].split("LINE 1:")[0]
    return " ".join(text.split())[:300]
