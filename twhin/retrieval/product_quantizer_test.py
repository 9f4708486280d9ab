# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of product quantisation."""

import numpy as np

from twhin.retrieval.product_quantizer import ProductQuantizer


def test_each_piece_becomes_its_nearest_codeword() -> None:
    rows = np.random.default_rng(0).normal(size=(600, 8)).astype(np.float32)
    quantizer = ProductQuantizer.train(rows, 2)

    codes = quantizer.encode(rows)

    # All codewords of both pieces, by decoding every code.
    numbers = np.arange(256, dtype=np.uint8)
    words = quantizer.decode(np.stack([numbers, numbers], axis=1))
    assert codes.shape == (600, 2)
    for piece in range(2):
        columns = slice(4 * piece, 4 * piece + 4)
        differences = rows[:, None, columns] - words[None, :, columns]
        nearest = (differences**2).sum(-1).argmin(1)
        np.testing.assert_array_equal(codes[:, piece], nearest)
        np.testing.assert_array_equal(
            quantizer.decode(codes)[:, columns], words[nearest][:, columns]
        )


def test_training_is_repeatable() -> None:
    rows = np.random.default_rng(0).normal(size=(600, 8)).astype(np.float32)

    first, second = (ProductQuantizer.train(rows, 4).encode(rows) for _ in range(2))

    np.testing.assert_array_equal(first, second)
