# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks what is left of rows after they are stored."""

import numpy as np
import pytest

from twhin.bundle.row_format import (
    RowFormat,
    decode_rows,
    encode_rows,
    row_width,
    storage_dtype,
)

_ROWS = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)


def _round_trip(
    rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]], row_format: RowFormat
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    stored = encode_rows(rows, row_format)
    assert stored.shape == (len(rows), row_width(row_format, rows.shape[1]))
    assert stored.dtype == storage_dtype(row_format)
    found = np.full(rows.shape, np.nan, np.float32)
    decode_rows(stored, row_format, found)
    return found


def test_float32_rows_come_back_bit_by_bit() -> None:
    assert _round_trip(_ROWS, RowFormat.FLOAT32).tobytes() == _ROWS.tobytes()


def test_float16_rows_come_back_rounded() -> None:
    expected = _ROWS.astype(np.float16).astype(np.float32)

    assert (_round_trip(_ROWS, RowFormat.FLOAT16) == expected).all()


def test_int8_rows_come_back_within_half_a_step() -> None:
    steps = (_ROWS.max(axis=1) - _ROWS.min(axis=1)) / 255

    error = np.abs(_round_trip(_ROWS, RowFormat.INT8) - _ROWS)

    assert (error <= steps[:, None] * 0.5001).all()
    assert error.max() > 0


def test_int8_row_is_laid_out_as_numbers_scale_and_offset() -> None:
    row = np.array([[0.0, 1.0, 2.55]], np.float32)

    (stored,) = encode_rows(row, RowFormat.INT8)

    assert stored[:3].tolist() == [0, 100, 255]
    assert stored[3:].view("<f4").tolist() == pytest.approx([0.01, 0.0])


@pytest.mark.parametrize("row_format", list(RowFormat))
def test_constant_rows_and_no_rows_are_kept(row_format: RowFormat) -> None:
    constant = np.full((2, 4), -0.75, np.float32)

    assert (_round_trip(constant, row_format) == constant).all()
    assert _round_trip(constant[:0], row_format).shape == (0, 4)


def test_float16_tables_are_read_into_both_types() -> None:
    stored = encode_rows(_ROWS.astype(np.float16), RowFormat.INT8)
    half = np.empty(_ROWS.shape, np.float16)

    decode_rows(stored, RowFormat.INT8, half)

    assert np.abs(half.astype(np.float32) - _ROWS).max() < 0.02


def test_every_half_precision_number_is_read_as_it_is() -> None:
    stored = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(-1, 64)
    found = np.empty(stored.shape, np.float32)

    decode_rows(stored, RowFormat.FLOAT16, found)

    assert np.array_equal(found, stored.astype(np.float32), equal_nan=True)
