# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Product quantisation: a row as the numbers of its nearest codewords.

Letters in shapes: n rows, D dimension, M bytes of a code. A row is turned to the
principal axes of the rows, then cut into M pieces of D / M numbers; each piece is
replaced by the nearest of 256 codewords, which k-means has found for that place.

The axes are dealt to pieces so that the products of the rows' mean squares along
them are alike: no piece has much more to tell than another.

References: Jegou et al., "Product Quantization for Nearest Neighbor Search",
IEEE TPAMI 2011; Ge et al., "Optimized Product Quantization", IEEE TPAMI 2014,
section 3.3 (dealing of axes).
"""

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

NUM_CODEWORDS = 256
"""Codewords for each piece; training needs at least as many rows."""

_NUM_ITERATIONS = 25
_SEED = 1234
_MIN_SHARE = 1e-9
_TINY = 1e-30

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


class ProductQuantizer:
    """Codewords, and the way to codes and back."""

    def __init__(self, quantizer: Any, axes: Floats) -> None:
        """Wraps a trained `faiss.ProductQuantizer`; see `train`.

        Args:
          quantizer: Of the turned rows.
          axes: [D, D] float32, in its columns the axes that rows are turned to.
        """
        self._quantizer = quantizer
        self._axes = axes

    @staticmethod
    def train(rows: Floats, num_code_bytes: int) -> "ProductQuantizer":
        """Finds axes and codewords for rows like the given ones; repeatable.

        Args:
          rows: [n, D] float32, n at least `NUM_CODEWORDS`.
          num_code_bytes: M, a divisor of D.
        """
        squares, axes = np.linalg.eigh(rows.T.astype(np.float64) @ rows / len(rows))
        squares = np.maximum(squares, _MIN_SHARE * squares[-1] + _TINY)
        axes = axes[:, deal_axes(squares, num_code_bytes)].astype(np.float32)
        quantizer = faiss.ProductQuantizer(rows.shape[1], num_code_bytes, 8)
        quantizer.cp.niter = _NUM_ITERATIONS
        quantizer.cp.seed = _SEED
        # The caller chooses the number of rows: no second sample, no warning.
        quantizer.cp.min_points_per_centroid = 1
        quantizer.cp.max_points_per_centroid = len(rows)
        quantizer.train(np.ascontiguousarray(rows @ axes))
        return ProductQuantizer(quantizer, axes)

    def encode(self, rows: Floats) -> Codes:
        """Returns the codes of rows, [n, D] float32 to [n, M] uint8."""
        codes: Codes = self._quantizer.compute_codes(
            np.ascontiguousarray(rows @ self._axes)
        )
        return codes

    def decode(self, codes: Codes) -> Floats:
        """Returns rows for codes, [n, M] uint8 to [n, D] float32."""
        turned: Floats = self._quantizer.decode(np.ascontiguousarray(codes))
        rows: Floats = turned @ self._axes.T
        return rows


def deal_axes(squares: npt.NDArray[np.float64], num_pieces: int) -> Integers:
    """Returns the axes of all pieces, one piece behind the other.

    The axis of the largest square that is left goes to the piece whose product of
    squares is the smallest, among those with a free place.

    Args:
      squares: [D] float64, above 0.
      num_pieces: M, a divisor of D.

    Returns:
      [D] int64, each axis once.
    """
    num_places = len(squares) // num_pieces
    # Above 0, so that each axis makes a piece's product larger.
    sizes = np.log(squares / squares.min()) + 1.0
    pieces: list[list[int]] = [[] for _ in range(num_pieces)]
    totals = np.zeros(num_pieces)
    for axis in np.argsort(-squares, kind="stable"):
        piece = int(totals.argmin())
        pieces[piece].append(int(axis))
        totals[piece] += sizes[axis]
        if len(pieces[piece]) == num_places:
            totals[piece] = np.inf
    return np.array(pieces, dtype=np.int64).reshape(-1)
