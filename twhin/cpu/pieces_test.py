# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests that every piece is taken once, by several threads."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from twhin.cpu import threads
from twhin.cpu.compiled import compiled
from twhin.cpu.pieces import Pieces, make_pieces, num_pieces, run, take
from twhin.testing.torch_threads import torch_threads


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    """Gives torch three threads."""
    with torch_threads(3):
        yield


@compiled
def _count(pieces: Pieces, counts: NDArray[np.int64]) -> None:
    k = take(pieces)
    while k + 1 < len(pieces.bounds):
        for place in range(pieces.bounds[k], pieces.bounds[k + 1]):
            counts[place] += 1
        k = take(pieces)


@pytest.mark.parametrize("count", [0, 1, 100_000])
def test_every_piece_is_taken_once(count: int) -> None:
    counts = np.zeros(count, np.int64)

    with threads.taken_over():
        run(lambda pieces: _count(pieces, counts), make_pieces(np.arange(count + 1)))

    assert counts.tolist() == [1] * count


def test_threads_take_pieces_of_the_same_work() -> None:
    pieces = make_pieces(np.arange(4))
    all_are_there = threading.Barrier(3, timeout=60.0)
    taken = []

    def take_one(pieces: Pieces) -> None:
        taken.append(take(pieces))
        all_are_there.wait()

    with threads.taken_over():
        run(take_one, pieces)

    assert sorted(taken) == [0, 1, 2]


def test_small_work_is_one_piece() -> None:
    assert num_pieces(10**9) == 1
    with threads.taken_over():
        assert num_pieces(0) == num_pieces(threads.ELEMENTS_ALONE) == 1
        assert num_pieces(2 * threads.ELEMENTS_ALONE) == 2
        assert num_pieces(10**9) == 24
