# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the measures, by numbers worked out by hand."""

import numpy as np
import pytest

from examples.ranker.quality import (
    area_under_curve,
    cross_entropy,
    relative_cross_entropy,
)


def test_area_is_the_share_of_pairs_in_the_right_order() -> None:
    # Of the four pairs of a 1 and a 0, two are right and one is a tie.
    logits = np.array([3.0, 1.0, 1.0, 2.0])
    labels = np.array([1.0, 1.0, 0.0, 0.0])

    assert area_under_curve(logits, labels) == pytest.approx((2 + 0.5) / 4)


def test_cross_entropy_of_even_chances_is_the_logarithm_of_two() -> None:
    assert cross_entropy(np.zeros(3), np.array([1.0, 0, 0])) == pytest.approx(np.log(2))


def test_base_rate_has_no_relative_cross_entropy() -> None:
    labels = np.array([1.0, 0, 0, 0])

    base = relative_cross_entropy(np.full(4, np.log(1 / 3)), labels)
    perfect = relative_cross_entropy(np.array([50.0, -50, -50, -50]), labels)
    wrong = relative_cross_entropy(np.array([-5.0, 5, 5, 5]), labels)

    assert base == pytest.approx(0)
    assert perfect == pytest.approx(100)
    assert wrong < 0
