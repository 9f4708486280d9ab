# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Requests at a rate that does not wait for the answers."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np


class OfferedLoad:
    """Makes calls of one method, with a bound on their number or at a rate."""

    def __init__(self, method: Any, requests: Sequence[bytes]) -> None:
        """Takes the method and the requests, which take turns."""
        self._method = method
        self._requests = requests

    def run(
        self, secs: float, *, limit: int | None = None, rate: float | None = None
    ) -> dict[str, Any]:
        """Makes calls for some time.

        Args:
          secs: The time.
          limit: Calls that wait for an answer at once; None for no bound.
          rate: Calls begun in a second; None for as many as `limit` lets.

        Returns:
          "rate" and "statuses" of the answers, "p50_secs" and "p99_secs" of those
          that are OK.
        """
        statuses: Counter[str] = Counter()
        latencies: list[float] = []
        places = threading.Semaphore(limit or 1 << 20)
        waiting = threading.Semaphore(0)

        def note(call: Any, begun: float) -> None:
            code = call.code()
            if code is grpc.StatusCode.OK:
                latencies.append(time.perf_counter() - begun)
            statuses[code.name] += 1
            places.release()
            waiting.release()

        start = time.perf_counter()
        for number in itertools.count():
            due = start + number / rate if rate else time.perf_counter()
            if due > start + secs:
                break
            time.sleep(max(due - time.perf_counter(), 0.0))
            places.acquire()
            begun = time.perf_counter()
            request = self._requests[number % len(self._requests)]
            call = self._method.future(request, timeout=10)
            call.add_done_callback(lambda done, begun=begun: note(done, begun))
        for _ in range(number):
            waiting.acquire(timeout=15)
        return {
            "rate": statuses["OK"] / (time.perf_counter() - start),
            "statuses": dict(statuses),
            "p50_secs": float(np.percentile(latencies, 50)),
            "p99_secs": float(np.percentile(latencies, 99)),
        }
