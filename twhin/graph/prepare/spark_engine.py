# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Prepares on Apache Spark: for graphs that outgrow one machine.

Driver and executors must see the folder of the graph, and local input files, at the
same paths. What a row costs is spread over the executors; ids are numbered in one
pass over their sorted files, without a window over all rows.
"""

import contextlib
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from py4j.protocol import Py4JJavaError  # type: ignore[import-not-found,unused-ignore]
from pyspark.errors import AnalysisException, ParseException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from twhin.config.settings import FileFormat
from twhin.errors import DataError
from twhin.graph.prepare import (
    damaged_file,
    edge_shuffle,
    spark_session,
    spark_sources,
    vocabulary_file,
)
from twhin.graph.prepare.engine import Progress
from twhin.graph.prepare.input_files import RawSource
from twhin.graph.prepare.source_columns import SourceColumns

_POLL_SECS = 0.5
_FILE_IN_ERROR = re.compile(r"reading file (?:file:)?/*(/\S+?)\.? ")
_EDGES_OPTIONS = {
    "compression": "none",
    "parquet.writer.version": "PARQUET_2_0",
    "parquet.enable.dictionary": "false",
}


class SparkEngine:
    """An `Engine` on a Spark master."""

    def __init__(
        self,
        work: Path,
        *,
        master: str,
        memory_limit_bytes: int,
        num_threads: int,
        progress: Progress,
    ) -> None:
        """Starts Spark, or opens a session of the one that runs in this process.

        Args:
          work: An empty folder for intermediate files.
          master: As spark-submit has it.
          memory_limit_bytes: The heap of the driver.
          num_threads: The cores of a local master.
          progress: Told about the steps.

        Raises:
          ConfigError: There is no Java.
        """
        self._work = work
        self._progress = progress
        self._step = "start"
        self._is_ours = SparkSession.getActiveSession() is None
        self._session = spark_session.start_session(
            master,
            work,
            memory_limit_bytes=memory_limit_bytes,
            num_threads=num_threads,
        )
        self._parquet_sources: list[RawSource] = []

    def begin(self, step: str) -> None:
        """Names the step that the following calls belong to."""
        self._step = step
        self._progress(step, 0.0)

    def open_source(self, source: RawSource, columns: SourceColumns) -> None:
        """Makes the view of a source; text files are rewritten as parquet."""
        is_parquet = source.settings.format is FileFormat.PARQUET
        if is_parquet:
            self._parquet_sources.append(source)
        unpacked = self._work / f"{source.view}_unpacked"
        files = f"{source.view}_files"
        with self._errors():
            frame = spark_sources.read_files(self._session, source, columns, unpacked)
            frame.createOrReplaceTempView(files)
        query = spark_sources.view_query(source, columns, files)
        try:
            if is_parquet:
                self.define(source.view, query)
            else:
                self.materialize(source.view, query)
        except (AnalysisException, ParseException) as error:
            raise DataError(
                f"{source.where}.filter: {source.settings.filter!r} cannot be evaluated"
                f" ({_one_line(error)}); allowed: a condition in SQL over the columns"
                " of the files"
            ) from error
        shutil.rmtree(unpacked, ignore_errors=True)

    def materialize(self, view: str, sql: str) -> None:
        """Writes the rows of a query to parquet files and makes them a view."""
        folder = self._work / view
        self._write(self._query(sql), folder, {})
        self.define(view, f"SELECT * FROM {self.scan(folder)}")

    def define(self, view: str, sql: str) -> None:
        """Makes `view` a name for a query."""
        self._query(sql).createOrReplaceTempView(view)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Returns the rows of a query."""
        frame = self._query(sql)
        with self._errors(), self._polled():
            return [tuple(row) for row in frame.collect()]

    def scan(self, folder: Path) -> str:
        """Returns the text that stands for the parquet files of a folder."""
        return f"parquet.`file://{folder}`"

    def write_indexed(
        self, sql: str, *, order_by: str, start: int, limit: int | None, folder: Path
    ) -> int:
        """Sorts rows into ranges, and numbers the ranges one after the other."""
        ranges = self._work / "sorted"
        query = f"SELECT id, degree FROM ({sql}) AS ids ORDER BY {order_by}"
        self._write(self._query(query), ranges, {})
        # The names of Spark's files are in the order of the ranges.
        batches = (
            batch
            for file in sorted(ranges.glob("*.parquet"))
            for batch in pq.ParquetFile(file).iter_batches()
        )
        num_rows = vocabulary_file.write_numbered(
            batches, start=start, limit=limit, folder=folder
        )
        shutil.rmtree(ranges)
        return num_rows

    def write_edges(
        self, sql: str, *, columns: tuple[str, ...], num_edges: int, folder: Path
    ) -> None:
        """Sends every partition to one task, which sorts and writes it."""
        folder.mkdir(parents=True)
        shuffle = self._work / "shuffle"
        num_partitions = edge_shuffle.num_partitions(num_edges)
        frame = (
            self._query(edge_shuffle.partitioned(sql, columns, num_partitions))
            .repartitionById(num_partitions, "p")
            .sortWithinPartitions("h", *columns)
            .select(*columns)
        )
        rows = str(edge_shuffle.row_group_edges(num_edges))
        options = {**_EDGES_OPTIONS, "parquet.block.row.count.limit": rows}
        self._write(frame, shuffle, options)
        for path in shuffle.glob("part-*.parquet"):
            # Spark's names begin with "part-NNNNN-": the number of the partition.
            number = int(path.name.split("-")[1])
            if pq.read_metadata(path).num_rows:
                path.rename(folder / f"part-{number:05d}.parquet")
        shutil.rmtree(shuffle)

    def micros(self, expression: str) -> str:
        """Returns SQL for the microseconds since 1970."""
        return f"unix_micros(CAST({expression} AS TIMESTAMP))"

    def ordered_sum(self, expression: str) -> str:
        """Returns an aggregate that adds in rising order."""
        values = f"sort_array(collect_list({expression}))"
        return f"aggregate({values}, CAST(0 AS DOUBLE), (total, x) -> total + x)"

    def close(self) -> None:
        """Stops Spark, if it was started here."""
        if self._is_ours:
            self._session.stop()

    def _query(self, sql: str) -> DataFrame:
        with self._errors():
            return self._session.sql(sql)

    def _write(self, frame: DataFrame, folder: Path, options: dict[str, str]) -> None:
        writer = frame.write.options(**options)
        with self._errors(), self._polled():
            writer.parquet(f"file://{folder}")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns what users can cause into `DataError`."""
        try:
            yield
        except (AnalysisException, ParseException):
            raise  # A filter's; otherwise a mistake of ours.
        except (PySparkException, Py4JJavaError) as error:
            text = _one_line(error)
            if "No space left on device" in str(error) or "File too large" in str(
                error
            ):
                raise DataError(
                    f"{self._step}: the disk is full ({text}); allowed: more space"
                    f" below {str(self._work.parent)!r}"
                ) from error
            damage = damaged_file.find_damage(self._parquet_sources)
            place = _FILE_IN_ERROR.search(str(error))
            raise DataError(
                damage
                or f"{place[1] if place else self._step}: a value cannot be read"
                f" ({text}); allowed: values of the column's type"
            ) from error

    @contextlib.contextmanager
    def _polled(self) -> Iterator[None]:
        """Reports the progress of running jobs from a thread."""
        done = threading.Event()
        tracker = self._session.sparkContext.statusTracker()

        def poll() -> None:
            while not done.wait(_POLL_SECS):
                stages = [
                    tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()
                ]
                total = sum(stage.numTasks for stage in stages if stage)
                if total:
                    finished = sum(s.numCompletedTasks for s in stages if s)
                    self._progress(self._step, finished / total)

        thread = threading.Thread(target=poll, name="spark-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _one_line(error: Exception) -> str:
    text = str(error).split("JVM stacktrace")[0].split("\n\tat ")[0]
    return " ".join(text.split())[:300]
