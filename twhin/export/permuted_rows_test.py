# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that rows come in the new order, within the bound on memory."""

import numpy as np
import pytest
import torch
from torch import Tensor

from twhin.bundle.row_format import RowFormat, decode_rows
from twhin.errors import CheckpointError
from twhin.export import permuted_rows
from twhin.export.permuted_rows import PermutedRows, RowRange

_SOURCE = torch.arange(400, dtype=torch.float32).reshape(100, 4)
# 90 of the 100 rows, as where the last ones have no id.
_ORDER = np.random.default_rng(0).permutation(90)
_RANGES = [
    RowRange(start=20, stop=50),
    RowRange(start=60, stop=60),
    RowRange(start=70, stop=90),
]


def _permuted(
    reads: list[tuple[int, int]],
    buffer_bytes: int = 1 << 20,
    row_format: RowFormat = RowFormat.FLOAT32,
    source: Tensor = _SOURCE,
) -> PermutedRows:
    def read_rows(start: int, stop: int) -> Tensor:
        reads.append((start, stop))
        return source[start:stop]

    return PermutedRows(
        where="tables/user",
        read_rows=read_rows,
        order=_ORDER,
        dim=4,
        row_format=row_format,
        buffer_bytes=buffer_bytes,
    )


@pytest.mark.parametrize("buffer_bytes", [1, 16, 100, 30 * 16, 1 << 20])
def test_ranges_come_whole_and_in_order(buffer_bytes: int) -> None:
    blocks = list(_permuted([], buffer_bytes).blocks(_RANGES))

    for place, each in enumerate(_RANGES):
        parts = [block for where, block in blocks if where == place]
        expected = _SOURCE.numpy()[_ORDER[each.start : each.stop]]
        if len(expected):
            assert (np.concatenate(parts) == expected).all()
    assert max(block.nbytes for _, block in blocks) <= max(buffer_bytes, 16)


def test_the_source_is_read_once_for_each_buffer() -> None:
    reads: list[tuple[int, int]] = []

    list(_permuted(reads, 25 * 16).blocks(_RANGES))

    # 50 rows, 25 at a time.
    assert len(reads) == 2
    assert all(0 <= start < stop <= 90 for start, stop in reads)


def test_large_sources_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permuted_rows, "_READ_BYTES", 10 * 16)
    reads: list[tuple[int, int]] = []

    ((_, block),) = _permuted(reads).blocks([RowRange(start=0, stop=90)])

    assert (block == _SOURCE.numpy()[_ORDER]).all()
    assert reads == [(start, start + 10) for start in range(0, 90, 10)]


def test_rows_are_in_the_stored_form() -> None:
    source = _SOURCE.to(torch.float16)
    blocks = _permuted([], row_format=RowFormat.INT8, source=source).blocks(_RANGES)

    block = np.concatenate([block for _, block in blocks])
    found = np.empty((50, 4), np.float32)
    decode_rows(block, RowFormat.INT8, found)

    rows = np.concatenate([_ORDER[20:50], _ORDER[70:90]])
    assert np.abs(found - _SOURCE.numpy()[rows]).max() < 0.01


@pytest.mark.parametrize(
    ("number", "row_format"),
    [
        (float("nan"), RowFormat.FLOAT32),
        (float("inf"), RowFormat.FLOAT32),
        (float("-inf"), RowFormat.INT8),
        (-65520.0, RowFormat.FLOAT16),
    ],
)
def test_numbers_that_cannot_be_stored_are_refused(
    number: float, row_format: RowFormat
) -> None:
    source = _SOURCE.clone()
    source[_ORDER[75], 2] = number

    with pytest.raises(CheckpointError, match=f"tables/user: row {_ORDER[75]} has num"):
        list(_permuted([], row_format=row_format, source=source).blocks(_RANGES))
