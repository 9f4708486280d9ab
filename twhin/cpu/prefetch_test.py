# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Asks for rows, those that are not there included."""

import numpy as np
from numpy.typing import NDArray

from twhin.cpu.compiled import compiled
from twhin.cpu.prefetch import prefetch


@compiled
def _sum(rows: NDArray[np.int64], table: NDArray[np.float32]) -> float:
    for row in rows:
        prefetch(table, row)
    total = 0.0
    for row in rows:
        if 0 <= row < len(table):
            total += table[row].sum()
    return total


def test_it_changes_no_result_and_takes_any_row() -> None:
    table = np.arange(400, dtype=np.float32).reshape(10, 40)

    found = _sum(np.array([3, -1, 9, 10**12, -(10**12)]), table)

    assert found == table[3].sum() + table[9].sum()


def test_numbers_are_rows_of_one_element() -> None:
    numbers = np.arange(1000)
    prefetch(numbers, 0)
    prefetch(numbers, 999)

    assert numbers.sum() == 999 * 500
