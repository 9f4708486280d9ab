# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks what travels together, and that it is parted as it was."""

from typing import Any

import numpy as np
import pytest

from twhin.client.joined_batches import join_batches
from twhin.client.results import Vectors


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([3] * 20, [[3] * 16, [3] * 4]),
        ([100] * 12, [[100] * 10, [100] * 2]),
        ([1000, 24, 1, 2000, 0, 5], [[1000, 24], [1], [2000], [0, 5]]),
        ([0], [[0]]),
        ([], []),
    ],
)
def test_up_to_16_batches_or_1024_ids_travel_together(
    sizes: list[int], expected: list[list[int]]
) -> None:
    joined = join_batches([range(n) for n in sizes], np.array)

    assert [batches.sizes for batches in joined] == expected


@pytest.mark.parametrize("check", [np.array, list])
def test_each_batch_gets_its_own_vectors(check: Any) -> None:
    batches: list[list[int]] = [[7, 8], [], [9]]
    (joined,) = join_batches(batches, check)
    values = np.array(joined.ids, np.float32)[:, None]

    parts = joined.split(Vectors(values=values, found=values[:, 0] > 7, version="v"))

    assert [part.values[:, 0].tolist() for part in parts] == batches
    parts = joined.split(Vectors(values=values, found=values[:, 0] > 7, version="v"))
    assert [part.found.tolist() for part in parts] == [[False, True], [], [True]]
