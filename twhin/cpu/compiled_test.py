# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of compiled: loops keep infinities, and need no place on disk."""

import numba
import numpy as np
import pytest

from twhin.cpu.compiled import compiled


def _add(values: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> np.float32:
    total = np.float32(0.0)
    for value in values:
        total += value
    return total


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1.5])
def test_loops_keep_what_is_not_finite(value: float) -> None:
    values = np.array([1.0, value, 2.0], dtype=np.float32)

    np.testing.assert_equal(compiled(_add)(values), np.float32(3.0 + value))


def test_a_loop_is_compiled_where_nothing_can_be_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = numba.njit

    def refuse(*, cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return plain(**options)

    monkeypatch.setattr(numba, "njit", refuse)

    assert compiled(_add)(np.array([1.0, 2.0], dtype=np.float32)) == 3.0
