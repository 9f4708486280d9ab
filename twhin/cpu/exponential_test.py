# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Compares the powers of 2 of compiled loops with numpy's."""

import numpy as np
from numpy.typing import NDArray

from twhin.cpu.compiled import compiled
from twhin.cpu.exponential import exp2


@compiled
def _exp2_all(x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    for i in range(len(x)):
        out[i] = exp2(x[i])


def _exp2(x: NDArray[np.float32]) -> NDArray[np.float32]:
    out = np.empty_like(x)
    _exp2_all(x, out)
    return out


def test_it_is_close_to_the_exact_value() -> None:
    x = np.linspace(-126.0, 0.0, 200_001, dtype=np.float32)

    found = _exp2(x)

    np.testing.assert_allclose(found, np.exp2(x.astype(np.float64)), rtol=1e-7)
    assert found[-1] == 1.0


def test_it_is_0_where_the_value_is_no_normal_number() -> None:
    assert _exp2(np.array([-126.5, -1e30, -np.inf], np.float32)).tolist() == [0.0] * 3


def test_what_is_not_a_number_stays_so() -> None:
    assert np.isnan(_exp2(np.array([np.nan] * 9, np.float32))).all()
