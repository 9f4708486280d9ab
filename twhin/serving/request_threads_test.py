# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of request_threads."""

import threading
import time
from collections.abc import Iterator

import pytest

from twhin.serving.request_threads import RequestThreads
from twhin.testing.server_process import wait_until


@pytest.fixture(name="threads")
def _threads() -> Iterator[RequestThreads]:
    threads = RequestThreads(2, 6)
    yield threads
    threads.shutdown()


def test_tasks_give_their_results_and_errors(threads: RequestThreads) -> None:
    assert threads.submit(lambda a, b: a + b, 1, 2).result(5) == 3
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 / 0).result(5)
    assert threads.submit(threading.get_ident).result(5) != threading.get_ident()


def test_tasks_that_wait_for_callers_do_not_stop_others(
    threads: RequestThreads,
) -> None:
    message = threading.Event()
    slow = [threads.submit(message.wait) for _ in range(3)]

    assert threads.submit(lambda: 7).result(5) == 7
    assert not any(task.done() for task in slow)
    message.set()
    assert [task.result(5) for task in slow] == [True] * 3
    # The threads that came in for the slow ones go when they are through.
    wait_until(lambda: threads.submit(int).result(5) == 0 and threads.num_alive == 2)


def test_long_work_brings_no_more_threads(threads: RequestThreads) -> None:
    def work() -> None:
        threads.note_work()
        time.sleep(0.3)

    tasks = [threads.submit(work) for _ in range(3)]
    most = 0
    while not all(task.done() for task in tasks):
        most = max(most, threads.num_alive)
        time.sleep(0.01)

    assert most == 2


def test_threads_that_leave_together_leave_enough(threads: RequestThreads) -> None:
    for _ in range(5):
        message = threading.Event()
        tasks = [threads.submit(message.wait) for _ in range(6)]
        wait_until(lambda: threads.num_alive == 6)
        message.set()
        assert all(task.result(5) for task in tasks)
        assert threads.submit(int).result(5) == 0
        wait_until(lambda: threads.submit(int).result(5) == 0 and threads.num_alive < 6)
        assert threads.num_alive >= 2


def test_threads_are_bounded(threads: RequestThreads) -> None:
    message = threading.Event()
    tasks = [threads.submit(message.wait) for _ in range(20)]
    time.sleep(0.3)

    assert threads.num_alive == 6
    message.set()
    assert all(task.result(5) for task in tasks)
