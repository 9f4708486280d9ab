# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of product quantisation."""

import numpy as np

from twhin.retrieval.product_quantizer import Floats, ProductQuantizer, deal_axes


def _rows() -> Floats:
    generator = np.random.default_rng(0)
    mixed = generator.normal(size=(600, 8)) @ generator.normal(size=(8, 8))
    return mixed.astype(np.float32)


def test_each_piece_of_axes_becomes_its_nearest_codeword() -> None:
    rows = _rows()
    quantizer = ProductQuantizer.train(rows, 2)
    squares, axes = np.linalg.eigh(rows.T.astype(np.float64) @ rows / len(rows))

    codes = quantizer.encode(rows)

    # All codewords of both pieces, by decoding every code.
    numbers = np.arange(256, dtype=np.uint8)
    words = quantizer.decode(np.stack([numbers, numbers], axis=1))
    dealt = axes[:, deal_axes(squares, 2)]
    assert codes.shape == (600, 2)
    for piece in range(2):
        columns = dealt[:, 4 * piece : 4 * piece + 4]
        differences = (rows @ columns)[:, None] - (words @ columns)[None]
        nearest = (differences**2).sum(-1).argmin(1)
        np.testing.assert_array_equal(codes[:, piece], nearest)


def test_decoded_rows_have_the_axes_of_the_rows() -> None:
    rows = _rows()
    quantizer = ProductQuantizer.train(rows, 4)

    found = quantizer.decode(quantizer.encode(rows))

    assert ((found - rows) ** 2).sum() < 0.2 * (rows**2).sum()


def test_direction_without_rows_is_no_fault() -> None:
    rows = _rows()
    rows[:, 3] = 0.0
    quantizer = ProductQuantizer.train(rows, 4)

    found = quantizer.decode(quantizer.encode(rows))

    np.testing.assert_allclose(found[:, 3], 0.0, atol=1e-3)


def test_axes_are_dealt_in_equal_numbers_to_balance_products() -> None:
    dealt = deal_axes(np.array([1.0, 2.0, 4.0, 8.0]), 2)

    # 8 to the first, 4 to the second, which 2 then fills; 1 is left to the first.
    assert dealt.tolist() == [3, 0, 2, 1]


def test_training_is_repeatable() -> None:
    rows = _rows()

    first, second = (ProductQuantizer.train(rows, 4).encode(rows) for _ in range(2))

    np.testing.assert_array_equal(first, second)
