# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the DuckDB engine by itself: views, order, files, progress, limits."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twhin.errors import DataError
from twhin.graph.prepare import edge_shuffle
from twhin.graph.prepare.duckdb_engine import DuckDBEngine


@dataclass
class Steps:
    """A `Progress` that keeps what it is told."""

    told: list[tuple[str, float]] = field(default_factory=list)

    def __call__(self, step: str, fraction: float) -> None:
        self.told.append((step, fraction))


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def engine(tmp_path: Path, steps: Steps) -> Iterator[DuckDBEngine]:
    (tmp_path / "work").mkdir()
    engine = DuckDBEngine(
        tmp_path / "work", memory_limit_bytes=1 << 27, num_threads=1, progress=steps
    )
    yield engine
    engine.close()


def test_materialized_view_does_not_run_its_query_again(engine: DuckDBEngine) -> None:
    engine.materialize("draws", "SELECT random() AS x FROM range(100)")

    first = engine.rows("SELECT x FROM draws ORDER BY x")

    assert engine.rows("SELECT x FROM draws ORDER BY x") == first


def test_rows_are_numbered_in_their_order_from_the_start(
    engine: DuckDBEngine, tmp_path: Path
) -> None:
    query = "SELECT 'i' || range AS id, range % 3 AS degree FROM range(7)"
    arguments = {"order_by": "degree DESC, id", "folder": tmp_path / "out"}

    first = engine.write_indexed(query, start=10, limit=4, **arguments)  # type: ignore[arg-type]
    second = engine.write_indexed(query, start=14, limit=None, **arguments)  # type: ignore[arg-type]

    files = sorted((tmp_path / "out").iterdir())
    rows = [pq.read_table(file).to_pylist() for file in files]
    assert [file.name for file in files] == ["part-00000.parquet", "part-00001.parquet"]
    assert (first, second) == (4, 7)
    assert [(r["id"], r["index"], r["degree"]) for r in rows[0]] == [
        ("i2", 10, 2),
        ("i5", 11, 2),
        ("i1", 12, 1),
        ("i4", 13, 1),
    ]
    assert [r["index"] for r in rows[1]] == list(range(14, 21))


def test_no_rows_make_no_vocabulary_file(engine: DuckDBEngine, tmp_path: Path) -> None:
    query = "SELECT 1 AS id, 1 AS degree WHERE FALSE"

    count = engine.write_indexed(
        query, order_by="id", start=0, limit=None, folder=tmp_path / "out"
    )

    assert count == 0
    assert list((tmp_path / "out").iterdir()) == []


def test_edges_lie_in_the_partition_and_order_of_their_hash(
    engine: DuckDBEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_shuffle, "PARTITION_EDGES", 300)
    columns = ("lhs", "rel", "rhs")
    query = "SELECT range AS lhs, range % 2 AS rel, range * 7 % 1000 AS rhs FROM range(1000)"

    engine.write_edges(query, columns=columns, num_edges=1000, folder=tmp_path / "out")

    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 4
    assert all(pq.read_schema(f).names == list(columns) for f in files)
    hashes = [hash_edge(row) for f in files for row in pq.read_table(f).to_pylist()]
    assert hashes == sorted(hashes)
    bounds = [0]
    for file in files:
        bounds.append(bounds[-1] + pq.read_metadata(file).num_rows)
    for partition, (start, stop) in enumerate(itertools.pairwise(bounds)):
        assert {h * 4 >> 32 for h in hashes[start:stop]} == {partition}
    assert bounds[-1] == 1000


def hash_edge(row: dict[str, int]) -> int:
    """The hash of edge_shuffle.py, by the definition in its docstring."""
    value = 0
    for column in ("lhs", "rhs", "rel"):
        value = (value + row[column]) % 2**32
        value ^= value >> 16
        value = value * 0x21F0AAAD % 2**32
        value ^= value >> 15
        value = value * 0x735A2D97 % 2**32
        value ^= value >> 15
    return value


def test_row_groups_divide_small_graphs_too(
    engine: DuckDBEngine, tmp_path: Path
) -> None:
    query = "SELECT range AS lhs, 0::BIGINT AS rel, range AS rhs FROM range(40000)"

    engine.write_edges(
        query, columns=("lhs", "rel", "rhs"), num_edges=40000, folder=tmp_path / "out"
    )

    (file,) = (tmp_path / "out").iterdir()
    metadata = pq.read_metadata(file)
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert len(sizes) >= 9
    assert sum(sizes) == 40000


def test_partitions_hold_about_four_million_edges_up_to_a_bound() -> None:
    assert edge_shuffle.num_partitions(0) == 1
    assert edge_shuffle.num_partitions(1 << 22) == 1
    assert edge_shuffle.num_partitions((1 << 22) + 1) == 2
    assert edge_shuffle.num_partitions(10**12) == edge_shuffle.MAX_PARTITIONS


def test_sum_is_that_of_rising_order(engine: DuckDBEngine) -> None:
    values = "(VALUES (1e16::DOUBLE), (1.0), (1.0), (-1e16)) AS t(x)"

    ((total,),) = engine.rows(f"SELECT {engine.ordered_sum('x')} FROM {values}")

    # -1e16 + 1 + 1 + 1e16, rounded step by step.
    assert total == ((-1e16 + 1.0) + 1.0) + 1e16


def test_times_are_microseconds(engine: DuckDBEngine) -> None:
    expressions = [
        engine.micros("TIMESTAMP '1970-01-01 00:00:01.5'"),
        engine.micros("DATE '1970-01-02'"),
    ]

    assert engine.rows(f"SELECT {', '.join(expressions)}") == [(1500000, 86400000000)]


def test_progress_names_the_step_and_rises(engine: DuckDBEngine, steps: Steps) -> None:
    engine.begin("counting")
    start = time.monotonic()
    while time.monotonic() - start < 10 and steps.told[-1][1] == 0.0:
        engine.rows("SELECT sum(a.range * b.range) FROM range(20000) a, range(20000) b")

    assert {step for step, _ in steps.told} == {"counting"}
    assert 0 < steps.told[-1][1] <= 1


def test_too_little_memory_and_disk_is_an_error(tmp_path: Path) -> None:
    work = tmp_path / "graph" / "work"
    work.mkdir(parents=True)
    engine = DuckDBEngine(
        work, memory_limit_bytes=1 << 23, num_threads=1, progress=lambda *_: None
    )
    engine.rows("SET max_temp_directory_size = '1MB'")
    engine.begin("vocabulary of user")

    with pytest.raises(DataError) as caught:
        engine.rows(
            "SELECT count(*) FROM (SELECT md5(range::VARCHAR) AS id FROM range(3000000)"
            " GROUP BY 1 ORDER BY 1)"
        )
    engine.close()

    message = str(caught.value)
    assert message.startswith("vocabulary of user: memory or disk is exhausted (")
    assert message.endswith(
        f"allowed: a larger memory limit, or more space below {str(work.parent)!r}"
    )
    assert "\n" not in message


def test_file_that_vanishes_is_an_error(engine: DuckDBEngine, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1]}), path)
    engine.define("gone", f"SELECT * FROM {engine.scan(tmp_path)}")
    path.unlink()
    engine.begin("splits")

    with pytest.raises(DataError, match=r"splits: a file cannot be read or written \("):
        engine.rows("SELECT * FROM gone")
