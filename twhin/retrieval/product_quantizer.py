# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Product quantisation: a row as the numbers of its nearest codewords.

Letters in shapes: n rows, D dimension, M bytes of a code. A row is turned to the
principal axes of the rows, then cut into M pieces of D / M numbers; each piece is
replaced by the nearest of 256 codewords, which k-means has found for that place.

The axes are dealt to pieces so that the rows vary alike in all of them: no piece
has much more to tell than another.

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
_FLOAT32_BYTES = 4

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]


class ProductQuantizer:
    """Axes, codewords, and the way to codes and back."""

    def __init__(self, axes: Any, quantizer: Any) -> None:
        """Wraps a trained `faiss.PCAMatrix` and `faiss.ProductQuantizer`.

        Args:
          axes: Turns rows; see `train`.
          quantizer: Of the turned rows.
        """
        self._axes = axes
        self._quantizer = quantizer

    @staticmethod
    def train(rows: Floats, num_code_bytes: int) -> "ProductQuantizer":
        """Finds axes and codewords for rows like the given ones; repeatable.

        Args:
          rows: [n, D] float32, n at least `NUM_CODEWORDS`.
          num_code_bytes: M, a divisor of D.
        """
        num_rows, dim = rows.shape
        # The caller chooses the number of rows: no second sample, no warning.
        axes = faiss.PCAMatrix(dim, dim)
        axes.balanced_bins = num_code_bytes
        axes.max_points_per_d = num_rows
        axes.train(rows)
        quantizer = faiss.ProductQuantizer(dim, num_code_bytes, 8)
        quantizer.cp.niter = _NUM_ITERATIONS
        quantizer.cp.seed = _SEED
        quantizer.cp.min_points_per_centroid = 1
        quantizer.cp.max_points_per_centroid = num_rows
        quantizer.train(axes.apply(rows))
        return ProductQuantizer(axes, quantizer)

    @property
    def num_shared_bytes(self) -> int:
        """What all codes share: codewords, axes, and the rows' mean along them."""
        vectors = self._quantizer.centroids, self._axes.A, self._axes.b
        num_numbers: int = sum(vector.size() for vector in vectors)
        return num_numbers * _FLOAT32_BYTES

    def encode(self, rows: Floats) -> Codes:
        """Returns the codes of rows, [n, D] float32 to [n, M] uint8."""
        codes: Codes = self._quantizer.compute_codes(self._axes.apply(rows))
        return codes

    def decode(self, codes: Codes) -> Floats:
        """Returns rows for codes, [n, M] uint8 to [n, D] float32."""
        rows: Floats = self._axes.reverse_transform(self._quantizer.decode(codes))
        return rows
