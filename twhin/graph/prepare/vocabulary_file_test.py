# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of vocabulary files: numbers, limits, and bytes."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twhin.graph.prepare import vocabulary_file


@pytest.fixture(autouse=True)
def row_groups_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary_file, "ROW_GROUP_ROWS", 4)


def batches(sizes: list[int], kind: pa.DataType) -> Iterator[pa.RecordBatch]:
    number = 0
    for size in sizes:
        numbers = list(range(number, number + size))
        number += size
        degrees = pa.array(numbers, pa.int64())
        yield pa.record_batch({"degree": degrees, "id": degrees.cast(kind)})


@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.large_string()])
def test_rows_are_numbered_in_their_order(tmp_path: Path, kind: pa.DataType) -> None:
    count = vocabulary_file.write_numbered(
        batches([3, 0, 6, 1], kind), start=5, limit=None, folder=tmp_path / "out"
    )

    table = pq.read_table(tmp_path / "out" / "part-00000.parquet")
    stored = pa.int64() if kind == pa.int64() else pa.string()
    assert count == 10
    assert [(f.name, f.type) for f in table.schema] == [
        ("id", stored),
        ("index", pa.int64()),
        ("degree", pa.int64()),
    ]
    assert table["id"].to_pylist() == pa.array(range(10)).cast(stored).to_pylist()
    assert table["index"].to_pylist() == list(range(5, 15))
    assert table["degree"].to_pylist() == list(range(10))


def test_bytes_do_not_depend_on_the_batches(tmp_path: Path) -> None:
    contents = set()
    for number, sizes in enumerate([[11], [1] * 11, [5, 6], [4, 4, 3]]):
        folder = tmp_path / str(number)
        vocabulary_file.write_numbered(
            batches(sizes, pa.string()), start=0, limit=None, folder=folder
        )
        contents.add((folder / "part-00000.parquet").read_bytes())
        metadata = pq.read_metadata(folder / "part-00000.parquet")
        groups = [metadata.row_group(i).num_rows for i in range(3)]
        assert groups == [4, 4, 3]

    assert len(contents) == 1


@pytest.mark.parametrize("limit", [0, 1, 4, 7, 100])
def test_limit_cuts_the_last_rows(tmp_path: Path, limit: int) -> None:
    count = vocabulary_file.write_numbered(
        batches([3, 6], pa.int64()), start=0, limit=limit, folder=tmp_path
    )

    assert count == min(limit, 9)
    files = list(tmp_path.iterdir())
    assert len(files) == (limit > 0)
    assert sum(pq.read_metadata(file).num_rows for file in files) == count


def test_further_files_sort_behind(tmp_path: Path) -> None:
    for start in (0, 2):
        vocabulary_file.write_numbered(
            batches([2], pa.int64()), start=start, limit=None, folder=tmp_path
        )

    assert pq.read_table(tmp_path)["index"].to_pylist() == [0, 1, 2, 3]


def test_no_rows_make_no_file(tmp_path: Path) -> None:
    count = vocabulary_file.write_numbered(
        batches([0, 0], pa.int64()), start=0, limit=None, folder=tmp_path / "out"
    )

    assert count == 0
    assert list((tmp_path / "out").iterdir()) == []
