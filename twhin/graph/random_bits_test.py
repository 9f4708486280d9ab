# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks the generator against its published outputs, and its distributions."""

import numpy as np

from twhin.graph import random_bits


def test_bits_are_those_of_splitmix64() -> None:
    # The first outputs of the reference implementation for the seed 1234567.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]

    bits = random_bits.random_bits(1234567, np.arange(3, dtype=np.uint64))

    assert bits.tolist() == expected


def test_number_belongs_to_its_counter_alone() -> None:
    whole = random_bits.random_bits(7, np.arange(100, dtype=np.uint64))

    part = random_bits.random_bits(7, np.arange(50, 60, dtype=np.uint64))

    np.testing.assert_array_equal(part, whole[50:60])


def test_keys_depend_on_every_number_and_their_order() -> None:
    keys = {
        random_bits.stream_key(*numbers)
        for numbers in [(0,), (1,), (0, 1), (1, 0), (0, 0), (0, 0, 0), (2**63,)]
    }

    assert len(keys) == 7


def test_floats_lie_in_the_unit_interval_and_are_uniform() -> None:
    largest = np.array([2**64 - 1, 0], dtype=np.uint64)
    bits = random_bits.random_bits(1, np.arange(10_000, dtype=np.uint64))

    floats = random_bits.uniform_floats(bits)

    assert random_bits.uniform_floats(largest).tolist() == [1 - 2.0**-53, 0.0]
    assert abs(floats.mean() - 0.5) < 5 * 12**-0.5 / 100
    assert np.unique(np.floor(floats * 10), return_counts=True)[1].min() > 850


def test_integers_cover_the_range_and_stay_below_the_bound() -> None:
    bits = random_bits.random_bits(2, np.arange(1000, dtype=np.uint64))
    largest = np.array([2**64 - 1], dtype=np.uint64)

    assert set(random_bits.uniform_integers(bits, 7).tolist()) == set(range(7))
    assert random_bits.uniform_integers(largest, 2**40).tolist() == [2**40 - 1]
