# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Threads that take whole pieces of a step, in place of torch's own.

torch divides each operation over its threads, which then wait for each other, and
spin while they wait. A thread that takes all operations of a piece finds its data
in its own cache, and waits once.
"""

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

_Result = TypeVar("_Result")
# Elements that a thread takes in less time than it takes to wake one.
ELEMENTS_ALONE = 1 << 15

_num_threads = 1


@contextlib.contextmanager
def taken_over() -> Iterator[None]:
    """Lets `run_all` and `share` have torch's threads, for one caller at a time."""
    global _num_threads
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    _num_threads = before
    try:
        yield
    finally:
        _num_threads = 1
        torch.set_num_threads(before)


def count() -> int:
    """Returns how many threads there are."""
    return _num_threads


def run_all(calls: Sequence[Callable[[], _Result]]) -> list[_Result]:
    """Makes independent calls, in any order; returns their results in this one."""
    if _num_threads == 1 or len(calls) < 2:
        return run_in_turn(calls)
    results: list[_Result] = [None] * len(calls)  # type: ignore[list-item]
    # Whoever is free takes the next.
    pending = iter(enumerate(calls))

    def take() -> None:
        for place, call in pending:
            results[place] = call()

    num_helpers = min(_num_threads, len(calls)) - 1
    pool = _pool(_num_threads - 1)
    helpers = [pool.submit(take) for _ in range(num_helpers)]
    try:
        take()
    finally:
        wait(helpers)
    for helper in helpers:
        helper.result()
    return results


def run_in_turn(calls: Sequence[Callable[[], _Result]]) -> list[_Result]:
    """Makes calls one by one, with all threads for torch's operations in each."""
    if _num_threads == 1:
        return [call() for call in calls]
    torch.set_num_threads(_num_threads)
    try:
        return [call() for call in calls]
    finally:
        torch.set_num_threads(1)


def share(call: Callable[[int, int], None], count: int, *, width: int) -> None:
    """Calls call(start, stop) for parts of [0, count), one for each thread.

    Args:
      call: Its result must not depend on the parts.
      count: Rows.
      width: About how many elements a row has: few are not worth a thread.
    """
    num_parts = min(_num_threads, count * width // ELEMENTS_ALONE)
    if num_parts <= 1:
        call(0, count)
        return
    bounds = [count * part // num_parts for part in range(num_parts + 1)]
    run_all(
        [
            functools.partial(call, start, stop)
            for start, stop in itertools.pairwise(bounds)
        ]
    )


@functools.cache
def _pool(num_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(
        num_threads, "piece", initializer=torch.set_num_threads, initargs=(1,)
    )
