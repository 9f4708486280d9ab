# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of product quantisation."""

from typing import Any

import faiss
import numpy as np

from twhin.retrieval.product_quantizer import Floats, ProductQuantizer


def _rows() -> Floats:
    generator = np.random.default_rng(0)
    mixed = generator.normal(size=(600, 8)) @ generator.normal(size=(8, 8))
    return mixed.astype(np.float32)


def test_codes_stand_for_the_nearest_row_there_is() -> None:
    rows = _rows()
    quantizer = ProductQuantizer.train(rows, 2)
    numbers = np.arange(256, dtype=np.uint8)
    all_codes = np.stack([numbers.repeat(256), np.tile(numbers, 256)], axis=1)
    all_rows = quantizer.decode(all_codes)

    codes = quantizer.encode(rows)

    assert codes.shape == (600, 2)
    for row, code in zip(rows, codes, strict=True):
        nearest = ((row - all_rows) ** 2).sum(-1).argmin()
        np.testing.assert_array_equal(code, all_codes[nearest])


def test_decoded_rows_have_the_axes_of_the_rows() -> None:
    rows = _rows()
    quantizer = ProductQuantizer.train(rows, 4)

    found = quantizer.decode(quantizer.encode(rows))

    assert ((found - rows) ** 2).sum() < 0.2 * (rows**2).sum()


def test_pieces_share_what_varies() -> None:
    rows = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
    rows[:, 4:] *= 0.01
    plain: Any = faiss.ProductQuantizer(8, 2, 8)
    plain.cp.max_points_per_centroid = len(rows)
    plain.train(rows)

    quantizer = ProductQuantizer.train(rows, 2)

    def error(found: Floats) -> float:
        return float(((found - rows) ** 2).sum())

    found = quantizer.decode(quantizer.encode(rows))
    # Two columns a piece leave much less than four in one, and the rest for nothing.
    assert error(found) < 0.2 * error(plain.decode(plain.compute_codes(rows)))


def test_codes_share_codewords_axes_and_a_mean() -> None:
    quantizer = ProductQuantizer.train(_rows(), 4)

    assert quantizer.num_shared_bytes == (256 * 8 + 8 * 8 + 8) * 4


def test_direction_without_rows_is_no_fault() -> None:
    rows = _rows()
    rows[:, 3] = 0.0
    quantizer = ProductQuantizer.train(rows, 4)

    found = quantizer.decode(quantizer.encode(rows))

    np.testing.assert_allclose(found[:, 3], 0.0, atol=1e-3)


def test_training_is_repeatable() -> None:
    rows = _rows()

    first, second = (ProductQuantizer.train(rows, 4).encode(rows) for _ in range(2))

    np.testing.assert_array_equal(first, second)
