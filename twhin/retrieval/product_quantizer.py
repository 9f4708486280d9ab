# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Product quantisation: a row as the numbers of its nearest codewords.

Letters in shapes: n rows, D dimension, M bytes of a code. A row is cut into M
pieces of D / M numbers; each piece is replaced by the nearest of 256 codewords,
which k-means has found for that place.

Reference: Jegou et al., "Product Quantization for Nearest Neighbor Search",
IEEE TPAMI 2011.
"""

from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

NUM_CODEWORDS = 256
"""Codewords for each piece; training needs at least as many rows."""

_NUM_ITERATIONS = 25
_SEED = 1234

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]


class ProductQuantizer:
    """Codewords, and the way to codes and back."""

    def __init__(self, quantizer: Any) -> None:
        """Wraps a trained `faiss.ProductQuantizer`; see `train`."""
        self._quantizer = quantizer

    @staticmethod
    def train(rows: Floats, num_code_bytes: int) -> "ProductQuantizer":
        """Finds codewords for rows like the given ones; repeatable.

        Args:
          rows: [n, D] float32, n at least `NUM_CODEWORDS`.
          num_code_bytes: M, a divisor of D.
        """
        quantizer = faiss.ProductQuantizer(rows.shape[1], num_code_bytes, 8)
        quantizer.cp.niter = _NUM_ITERATIONS
        quantizer.cp.seed = _SEED
        # The caller chooses the number of rows: no second sample, no warning.
        quantizer.cp.min_points_per_centroid = 1
        quantizer.cp.max_points_per_centroid = len(rows)
        quantizer.train(np.ascontiguousarray(rows))
        return ProductQuantizer(quantizer)

    def encode(self, rows: Floats) -> Codes:
        """Returns the codes of rows, [n, D] float32 to [n, M] uint8."""
        codes: Codes = self._quantizer.compute_codes(np.ascontiguousarray(rows))
        return codes

    def decode(self, codes: Codes) -> Floats:
        """Returns rows for codes, [n, M] uint8 to [n, D] float32."""
        rows: Floats = self._quantizer.decode(np.ascontiguousarray(codes))
        return rows
