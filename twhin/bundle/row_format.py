# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""How a row of D numbers lies in a table file, and the way there and back.

    float32   [x_0 ... x_D-1]                       4 D bytes
    float16   [x_0 ... x_D-1]                       2 D bytes
    int8      [q_0 ... q_D-1] [scale] [offset]      D + 8 bytes

In int8 rows x_d is stored as q_d = round((x_d - offset) / scale), with offset
the smallest number of the row and scale = (largest - smallest) / 255, so that the
error is at most scale / 2.
"""

import functools
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt


class RowFormat(StrEnum):
    """`twhin.v1.RowFormat`."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


def storage_dtype(row_format: RowFormat) -> np.dtype[Any]:
    """Returns the type of a stored element; uint8 for int8 rows."""
    if row_format is RowFormat.INT8:
        return np.dtype(np.uint8)
    return np.dtype(str(row_format)).newbyteorder("<")


def row_width(row_format: RowFormat, dim: int) -> int:
    """Returns the number of stored elements of a row of `dim` numbers."""
    return dim + 8 if row_format is RowFormat.INT8 else dim


def encode_rows(
    rows: npt.NDArray[np.floating[Any]], row_format: RowFormat
) -> npt.NDArray[Any]:
    """Returns rows as they are stored.

    Args:
      rows: [n, D] float16 or float32.
      row_format: The format.

    Returns:
      [n, row_width] of `storage_dtype`.
    """
    if row_format is not RowFormat.INT8:
        return rows.astype(storage_dtype(row_format), copy=False)
    rows = rows.astype(np.float32, copy=False)
    num_rows, dim = rows.shape
    offset = rows.min(axis=1, initial=np.inf)
    scale = (rows.max(axis=1, initial=-np.inf) - offset) / np.float32(255)
    divisor = np.where(scale > 0, scale, np.float32(1))
    stored = np.empty((num_rows, dim + 8), np.uint8)
    stored[:, :dim] = np.rint((rows - offset[:, None]) / divisor[:, None])
    stored[:, dim:] = np.stack([scale, offset], axis=1).astype("<f4").view(np.uint8)
    return stored


def decode_rows(
    stored: npt.NDArray[Any],
    row_format: RowFormat,
    out: npt.NDArray[np.floating[Any]],
) -> None:
    """Writes stored rows as numbers.

    Args:
      stored: [n, row_width] of `storage_dtype`.
      row_format: The format.
      out: [n, D] float16 or float32; overwritten.
    """
    if row_format is RowFormat.FLOAT16 and out.dtype == np.float32:
        # More than twice as fast as numpy's conversion.
        _float16_values().take(stored.view(np.uint16), out=out, mode="clip")
        return
    if row_format is not RowFormat.INT8:
        out[:] = stored
        return
    dim = out.shape[1]
    scale_offset = stored[:, dim:].copy().view("<f4")
    numbers = stored[:, :dim].astype(np.float32)
    numbers *= scale_offset[:, :1]
    numbers += scale_offset[:, 1:]
    out[:] = numbers


@functools.cache
def _float16_values() -> npt.NDArray[np.float32]:
    """Returns the number that each of the 65,536 half precision patterns stands for."""
    patterns = np.arange(1 << 16, dtype=np.uint16)
    return patterns.view(np.float16).astype(np.float32)
