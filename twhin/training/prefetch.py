# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Makes items ahead of their use, in a thread."""

import queue
import threading
import time
from collections.abc import Iterator
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_POLL_SECS = 0.1


class Prefetcher(Generic[T]):
    """An iterator whose items a thread takes from another iterator, in order.

    Use it as a context manager: leaving ends the thread and closes the source.

    Attributes:
      wait_secs: How long the user has waited for items so far.
    """

    def __init__(self, source: Iterator[T], *, depth: int = 4) -> None:
        """Starts the thread.

        Args:
          source: Where the items come from; used by the thread alone.
          depth: The number of items that are held ready, at least 1.
        """
        self.wait_secs = 0.0
        self._source = source
        self._ready: queue.Queue[T | BaseException | None] = queue.Queue(depth)
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="prefetch", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Returns the prefetcher."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the thread."""
        self.close()

    def __iter__(self) -> Self:
        """Returns the prefetcher."""
        return self

    def __next__(self) -> T:
        """Returns the next item; raises what the source raised in its place."""
        start = time.perf_counter()
        item = self._ready.get()
        self.wait_secs += time.perf_counter() - start
        if item is None or isinstance(item, BaseException):
            self._ready.put(item)  # The end stays the end.
            raise StopIteration if item is None else item
        return item

    def close(self) -> None:
        """Ends the thread; waits for the item that it is making."""
        self._is_closed.set()
        self._thread.join()

    def _fill(self) -> None:
        try:
            for item in self._source:
                if not self._put(item):
                    break
            else:
                self._put(None)
        except BaseException as error:
            self._put(error)
        finally:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()

    def _put(self, item: T | BaseException | None) -> bool:
        """Hands an item over; returns whether anyone still wants it."""
        while not self._is_closed.is_set():
            try:
                self._ready.put(item, timeout=_POLL_SECS)
                return True
            except queue.Full:
                continue
        return False
