# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rounding to bfloat16, for compiled loops.

numpy has no such type: the 16 bits of a number are kept as an integer.
"""

import numpy as np
from numpy.typing import NDArray

from twhin.cpu.compiled import compiled

_BITS = np.uint32(16)  # Those that float32 has and bfloat16 has not.
_ALMOST_HALF = np.uint32((1 << 15) - 1)
_ONE = np.uint32(1)


@compiled
def round_rows(rows: NDArray[np.float32], out: NDArray[np.uint16]) -> None:
    """Sets out to the nearest bfloat16 of each number; of two as near, the even one.

    Args:
      rows: [B, D].
      out: [B, D], written.
    """
    for r in range(len(rows)):
        for d in range(rows.shape[1]):
            bits = np.float32(rows[r, d]).view(np.uint32)
            is_odd = (bits >> _BITS) & _ONE
            out[r, d] = np.uint16((bits + _ALMOST_HALF + is_odd) >> _BITS)
