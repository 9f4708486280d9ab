# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What happens to rows on their way to a comparison and back, in compiled loops.

Letters in shapes: B rows, R relations, D embedding dimension.
"""

import math

import numpy as np
from numpy.typing import NDArray

from twhin.cpu.compiled import compiled
from twhin.cpu.prefetch import prefetch
from twhin.model.comparators import MIN_NORM

_MIN_NORM = np.float32(MIN_NORM)
_NOTHING = np.float32(0.0)
# Rows of a table that are asked for before they are needed.
_AHEAD = 8


@compiled
def gather_rows(
    table: NDArray[np.float32], chosen: NDArray[np.int64], out: NDArray[np.float32]
) -> None:
    """Sets out to rows of a table.

    Args:
      table: [n, D].
      chosen: [B].
      out: [B, D], written.
    """
    for r in range(len(chosen)):
        if r + _AHEAD < len(chosen):
            prefetch(table, chosen[r + _AHEAD])
        row, target = table[chosen[r]], out[r]
        for d in range(table.shape[1]):
            target[d] = row[d]


@compiled
def shift_rows(
    known: NDArray[np.float32],
    rel: NDArray[np.int64],
    shift: NDArray[np.float32],
    query: NDArray[np.float32],
) -> None:
    """Sets query to known vectors plus the shifts of their relations.

    Args:
      known: [B, D].
      rel: [B], rows of `shift`.
      shift: [R, D]; [0, D] for none.
      query: [B, D], written.
    """
    for c in range(len(known)):
        row, out = known[c], query[c]
        if len(shift):
            added = shift[rel[c]]
            for d in range(known.shape[1]):
                out[d] = row[d] + added[d]
        else:
            for d in range(known.shape[1]):
                out[d] = row[d]


@compiled
def scale_rows(
    factors: NDArray[np.float32], rows: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Sets out to rows times factors.

    Args:
      factors: [B].
      rows: [B, D].
      out: [B, D], written.
    """
    for r in range(len(rows)):
        for d in range(rows.shape[1]):
            out[r, d] = factors[r] * rows[r, d]


@compiled
def multiply_rows(
    left: NDArray[np.float32], right: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Sets out to the dot products of rows; left and right [B, D], out [B]."""
    for r in range(len(left)):
        one, other = left[r], right[r]
        product = _NOTHING
        for d in range(left.shape[1]):
            product += one[d] * other[d]
        out[r] = product


@compiled
def add_rows(rows: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Adds rows to out; both [B, D]."""
    for r in range(len(rows)):
        for d in range(rows.shape[1]):
            out[r, d] += rows[r, d]


@compiled
def zero_rows(out: NDArray[np.float32]) -> None:
    """Sets out to 0."""
    for r in range(len(out)):
        for d in range(out.shape[1]):
            out[r, d] = _NOTHING


@compiled
def normalize(
    rows: NDArray[np.float32], unit: NDArray[np.float32], norms: NDArray[np.float32]
) -> None:
    """Sets unit to rows of norm 1, and norms to what they had.

    Args:
      rows: [B, D].
      unit: [B, D], written; may be `rows`.
      norms: [B], written.
    """
    for r in range(len(rows)):
        squares = _NOTHING
        for d in range(rows.shape[1]):
            squares += rows[r, d] * rows[r, d]
        norms[r] = max(np.float32(math.sqrt(squares)), _MIN_NORM)
        for d in range(rows.shape[1]):
            unit[r, d] = rows[r, d] / norms[r]


@compiled
def flow_back(
    gradient: NDArray[np.float32],
    unit: NDArray[np.float32],
    norms: NDArray[np.float32],
) -> None:
    """Turns a gradient by rows of norm 1 into that by rows, in place.

    (g - (g . u) u) / |x| for u = x / |x|.

    Args:
      gradient: [B, D], g.
      unit: [B, D], u.
      norms: [B], |x|.
    """
    for r in range(len(gradient)):
        along = _NOTHING
        for d in range(gradient.shape[1]):
            along += gradient[r, d] * unit[r, d]
        for d in range(gradient.shape[1]):
            gradient[r, d] = (gradient[r, d] - along * unit[r, d]) / norms[r]
