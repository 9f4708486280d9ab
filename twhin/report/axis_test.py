# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of scales and ticks."""

import pytest

from twhin.report.axis import Scale, make_scale


def test_ends_are_ticks_of_a_linear_scale() -> None:
    scale = make_scale([3.4, 10.6], 200, 10)

    assert scale.ticks(4) == [2, 4, 6, 8, 10, 12]
    assert scale(2) == 200
    assert scale(12) == 10
    assert scale(7) == 105


def test_zero_belongs_to_the_scale_where_asked() -> None:
    assert make_scale([0.07, 0.09], 0, 1, from_zero=True).low == 0
    assert make_scale([0.07, 0.09], 0, 1).low == pytest.approx(0.07)


def test_ticks_of_a_logarithm_are_powers_of_ten() -> None:
    scale = Scale(low=1, high=1e6, start=0, stop=600, is_log=True)

    assert scale.ticks(6) == [1, 10, 100, 1e3, 1e4, 1e5, 1e6]
    assert scale(1000) == pytest.approx(300)


def test_a_single_value_has_a_scale() -> None:
    assert make_scale([5.0, 5.0], 0, 100)(5.0) == pytest.approx(50)
    assert make_scale([5.0], 0, 100, is_log=True)(5.0) == pytest.approx(50)
    assert make_scale([], 0, 100).high > make_scale([], 0, 100).low
    assert make_scale([0.0], 100, 0, from_zero=True)(0.0) == 100
