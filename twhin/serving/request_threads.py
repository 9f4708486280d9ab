# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The threads that answer requests: few, and more only while callers are slow.

Two threads keep a core busy; more hand the interpreter lock around and cost up
to twice the processor time. But gRPC gives a request its thread before the
message has arrived, so that two callers who send nothing would stop everyone
else. A thread that waits so for long is replaced, and the one too many ends
when it is through.
"""

import threading
import time
from collections.abc import Callable
from concurrent import futures
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_LOOK_SECS = 0.05
_Task = tuple["futures.Future[Any]", Callable[..., Any], tuple[Any, ...]]


class RequestThreads(futures.Executor):
    """An executor whose tasks say when they begin to work."""

    def __init__(self, num_threads: int, max_threads: int) -> None:
        """Starts the threads.

        Args:
          num_threads: Threads that do not wait for a message.
          max_threads: All threads, at least `num_threads`.
        """
        self._num_threads = num_threads
        self._max_threads = max_threads
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._lock = threading.Lock()
        # By thread: when it began to wait for a message; None while it works.
        self._waiting: dict[int, float | None] = {}
        self._num_alive = 0
        self._num_unfinished = 0
        # The threads whose task counts as unfinished.
        self._counted: set[int] = set()
        self._stopping = threading.Event()
        for _ in range(num_threads):
            self._add_thread()
        threading.Thread(target=self._look_after, daemon=True).start()

    @property
    def num_alive(self) -> int:
        """The threads that there are now."""
        return self._num_alive

    @property
    def num_unfinished(self) -> int:
        """The tasks that wait or are at work."""
        return self._num_unfinished

    def note_work(self) -> None:
        """Called by a task once its message is there."""
        thread = threading.get_ident()
        if thread in self._waiting:
            self._waiting[thread] = None

    def note_done(self) -> None:
        """Called by a task once its answer is known, but not yet sent."""
        thread = threading.get_ident()
        with self._lock:
            if thread in self._counted:
                self._counted.remove(thread)
                self._num_unfinished -= 1

    def submit(  # type: ignore[override]
        self, fn: Callable[..., T], /, *args: Any
    ) -> "futures.Future[T]":
        """Has a thread call fn(*args)."""
        future: futures.Future[T] = futures.Future()
        with self._lock:
            self._num_unfinished += 1
        self._tasks.put((future, fn, args))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the threads when the tasks so far are done."""
        del wait, cancel_futures
        self._stopping.set()
        for _ in range(self._max_threads):
            self._tasks.put(None)

    def _add_thread(self) -> None:
        with self._lock:
            self._num_alive += 1
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        thread = threading.get_ident()
        while True:
            task = self._tasks.get()
            if task is None:
                return
            future, fn, args = task
            self._waiting[thread] = time.monotonic()
            self._counted.add(thread)
            try:
                result = fn(*args)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            del self._waiting[thread], task, future, fn, args
            self.note_done()
            if self._num_alive > self._num_threads and self._leave():
                return

    def _leave(self) -> bool:
        """Returns whether the calling thread is one too many; it ends then."""
        with self._lock:
            if self._num_alive - self._count_slow() <= self._num_threads:
                return False
            self._num_alive -= 1
            return True

    def _count_slow(self) -> int:
        """Returns the threads that have long been waiting for a message."""
        before = time.monotonic() - _LOOK_SECS
        begun = list(self._waiting.values())
        return sum(begin is not None and begin < before for begin in begun)

    def _look_after(self) -> None:
        while not self._stopping.wait(_LOOK_SECS):
            num_slow = self._count_slow()
            while (
                self._num_alive - num_slow < self._num_threads
                and self._num_alive < self._max_threads
            ):
                self._add_thread()
