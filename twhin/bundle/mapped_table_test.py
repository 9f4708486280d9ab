# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that rows are the same through one shard, all of them or a part."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from twhin.bundle.mapped_table import MappedTable
from twhin.bundle.row_format import RowFormat, encode_rows
from twhin.bundle.table_writer import shard_path, write_shard
from twhin.testing.both_loops import both_loops  # noqa: F401  # A fixture.
from twhin.v1 import bundle_pb2

_ROWS = np.arange(40, dtype=np.float32).reshape(10, 4)
# Shard 2 is empty.
_BOUNDS = [0, 3, 7, 7, 10]
_FORMATS = {
    RowFormat.FLOAT32: bundle_pb2.ROW_FORMAT_FLOAT32,
    RowFormat.FLOAT16: bundle_pb2.ROW_FORMAT_FLOAT16,
    RowFormat.INT8: bundle_pb2.ROW_FORMAT_INT8,
}


def _open(
    folder: Path,
    shards: list[int],
    row_format: RowFormat = RowFormat.FLOAT32,
    bounds: list[int] = _BOUNDS,
) -> MappedTable:
    stored = encode_rows(_ROWS, row_format)
    count = len(bounds) - 1
    table = bundle_pb2.BundleTable(
        entity_type="user",
        num_rows=10,
        row_format=_FORMATS[row_format],
        shards=[
            write_shard(
                folder,
                shard_path("user", shard, count),
                bounds[shard],
                [stored[bounds[shard] : bounds[shard + 1]]],
            )
            for shard in range(count)
        ],
    )
    return MappedTable(folder, table, dim=4, shards=shards)


@pytest.mark.parametrize("row_format", list(RowFormat))
@pytest.mark.parametrize("bounds", [[0, 10], _BOUNDS])
def test_vectors_are_the_rows_asked_for(
    tmp_path: Path, row_format: RowFormat, bounds: list[int]
) -> None:
    table = _open(tmp_path, list(range(len(bounds) - 1)), row_format, bounds)
    rows = np.array([9, 0, 3, -1, 2, 2, 10, 6])
    expected = np.zeros((8, 4), np.float32)
    known = (rows >= 0) & (rows < 10)
    expected[known] = _ROWS[rows[known]]

    found = table.vectors(rows)
    half = table.vectors(rows, dtype=np.float16)

    # Each row spans 3: half a step of int8 is 0.006.
    assert np.abs(found - expected).max() < 0.01
    assert half.dtype == np.float16
    assert np.abs(half - expected).max() < 0.02
    assert table.holds(rows).tolist() == known.tolist()


def test_rows_of_shards_that_are_not_loaded_are_zero(tmp_path: Path) -> None:
    table = _open(tmp_path, [1, 2])
    rows = np.arange(-1, 11)

    held = table.holds(rows)

    assert np.flatnonzero(held).tolist() == [4, 5, 6, 7]
    assert (table.vectors(rows)[held] == _ROWS[3:7]).all()
    assert not table.vectors(rows)[~held].any()
    assert table.num_rows == 10
    assert table.size_bytes == 4 * 16


def test_a_given_array_is_filled(tmp_path: Path) -> None:
    table = _open(tmp_path, [0, 1, 2, 3])
    out: npt.NDArray[np.float32] = np.full((3, 4), np.nan, np.float32)

    found = table.vectors(np.array([1, -1, 8]), out=out)

    assert found is out
    assert out.tolist() == [_ROWS[1].tolist(), [0, 0, 0, 0], _ROWS[8].tolist()]


def test_no_loaded_rows_give_zeros(tmp_path: Path) -> None:
    table = _open(tmp_path, [2])

    assert table.shards == ()
    assert not table.vectors(np.array([0, 5])).any()
    assert not table.holds(np.array([0, 5])).any()


@pytest.mark.parametrize("row_format", list(RowFormat))
def test_blocks_are_all_loaded_rows_in_order(
    tmp_path: Path, row_format: RowFormat
) -> None:
    table = _open(tmp_path, [0, 2, 3], row_format)

    blocks = list(table.blocks(2))

    assert [(start, len(block)) for start, block in blocks] == [
        (0, 2),
        (2, 1),
        (7, 2),
        (9, 1),
    ]
    expected = np.concatenate([_ROWS[:3], _ROWS[7:]])
    assert np.abs(np.concatenate([b for _, b in blocks]) - expected).max() < 0.01
