# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of histograms."""

import numpy as np
import pytest

from twhin.report.bar_chart import make_histogram


@pytest.mark.parametrize(
    ("spread", "num_bars"),
    [(0.0, 1), (1e-7, 1), (0.5, 2)],
)
def test_values_that_differ_by_rounding_are_one_bar(
    spread: float, num_bars: int
) -> None:
    values = np.array([1.0, 1.0 + spread], dtype=np.float32)

    figure = make_histogram("Norms", values, x_label="norm", note="")

    assert str(figure).count("bar is-accent") == num_bars
