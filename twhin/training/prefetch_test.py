# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that items arrive in order, errors in their place, and threads end."""

import threading
from collections.abc import Iterator

import pytest

from twhin.training.prefetch import Prefetcher


def _count_threads() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


def test_items_arrive_in_order() -> None:
    with Prefetcher(iter(range(100)), depth=3) as items:
        assert list(items) == list(range(100))
        assert next(items, "end") == "end"


def test_at_most_depth_items_are_made_ahead() -> None:
    made = []
    first_is_made = threading.Event()

    def source() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            first_is_made.set()
            yield item

    with Prefetcher(source(), depth=2):
        first_is_made.wait(10)

    # Two are ready, one waits for room.
    assert len(made) <= 3


def test_error_comes_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with Prefetcher(source()) as items:
        assert next(items) == 1
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                next(items)


def test_leaving_early_ends_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = _count_threads()
    with Prefetcher(source(), depth=1) as items:
        next(items)

    assert closed.is_set()
    assert _count_threads() == before
