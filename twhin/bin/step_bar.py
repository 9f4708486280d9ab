# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A progress bar for each step of a preparation."""

import logging
import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

_LOG = logging.getLogger(__name__)
_FORMAT = "{desc:<48} {percentage:3.0f}%|{bar}| {elapsed}"


class StepBar:
    """A `Progress`: a bar on a terminal, otherwise a log line for each step.

    Use it as a context manager: leaving closes the last bar.
    """

    def __init__(self) -> None:
        """Starts without a bar."""
        self._step: str | None = None
        self._bar: tqdm | None = None
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        """Returns the bar."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the last bar; it is full unless an error ended its step."""
        self._close(is_done=kind is None)

    def __call__(self, step: str, fraction: float) -> None:
        """Shows the done share in [0, 1] of the step called `step`."""
        if step != self._step:
            self._close(is_done=True)
            self._step = step
            self._start = time.monotonic()
            if sys.stderr.isatty():
                self._bar = tqdm(total=1.0, desc=step, bar_format=_FORMAT)
        if self._bar is not None and fraction > self._bar.n:
            self._bar.update(fraction - self._bar.n)

    def _close(self, *, is_done: bool) -> None:
        if self._step is None:
            return
        if self._bar is not None:
            if is_done:
                self._bar.update(1.0 - self._bar.n)
            self._bar.close()
            self._bar = None
        elif is_done:
            secs = time.monotonic() - self._start
            _LOG.info("prepare step=%r secs=%.1f", self._step, secs)
        self._step = None
