# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Threads that ask a server without a pause, for tests."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType

from twhin.client.request_error import RequestError


class LoadForTest:
    """Calls functions over and over, each in a thread; a context manager.

    Attributes:
      statuses: How often each status came; "OK" for an answer.
      latencies: The seconds that each answered call took.
      faults: What went wrong otherwise.
    """

    def __init__(self, *functions: Callable[[], object]) -> None:
        """Takes the functions; a function raises `AssertionError` for a fault."""
        self.statuses: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.faults: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(function,), daemon=True)
            for function in functions
        ]

    def __enter__(self) -> "LoadForTest":
        """Begins."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends, when the last call is answered."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def percentile(self, share: float) -> float:
        """Returns the seconds within which a share of calls was answered."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    def _run(self, function: Callable[[], object]) -> None:
        while not self._stop.is_set():
            start = time.perf_counter()
            try:
                function()
            except RequestError as error:
                self.statuses[error.code.name] += 1
            except BaseException as error:
                self.faults.append(error)
                return
            else:
                self.statuses["OK"] += 1
                self.latencies.append(time.perf_counter() - start)
