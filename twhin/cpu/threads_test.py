# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests who has the threads, and that their results and errors arrive."""

import functools
import threading
from collections.abc import Iterator

import pytest
import torch

from twhin.cpu import threads
from twhin.testing.torch_threads import torch_threads


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    """Gives torch three threads."""
    with torch_threads(3):
        yield


def test_threads_are_torchs_until_taken_over_and_again_after() -> None:
    assert threads.count() == 1

    with threads.taken_over():
        assert (threads.count(), torch.get_num_threads()) == (3, 1)

    assert (threads.count(), torch.get_num_threads()) == (1, 3)


def test_calls_run_side_by_side_and_results_keep_their_order() -> None:
    all_are_there = threading.Barrier(3, timeout=60.0)

    def call(number: int) -> tuple[int, int]:
        all_are_there.wait()
        return number, torch.get_num_threads()

    with threads.taken_over():
        results = threads.run_all([functools.partial(call, n) for n in range(3)])

    assert results == [(0, 1), (1, 1), (2, 1)]


def test_calls_in_turn_have_all_of_torchs_threads() -> None:
    with threads.taken_over():
        assert threads.run_all([torch.get_num_threads]) == [3]
        assert threads.run_in_turn([torch.get_num_threads] * 2) == [3, 3]
        assert torch.get_num_threads() == 1


@pytest.mark.parametrize("count", [0, 1, 7, 100_000])
def test_parts_cover_the_range_once(count: int) -> None:
    parts: list[tuple[int, int]] = []

    with threads.taken_over():
        threads.share(lambda start, stop: parts.append((start, stop)), count, width=9)

    parts.sort()
    assert parts[0][0] == 0
    assert parts[-1][1] == count
    assert [start for start, _ in parts[1:]] == [stop for _, stop in parts[:-1]]
    assert len(parts) == (3 if count == 100_000 else 1)


def test_an_error_of_a_thread_is_raised_and_the_threads_are_given_back() -> None:
    def fail() -> None:
        raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"), threads.taken_over():
        threads.run_all([fail, fail])

    assert torch.get_num_threads() == 3
