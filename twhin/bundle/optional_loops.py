# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Compiled loops, for processes that look up much and have numba.

A server does without, since it starts in less time than it takes to load them, and
so does the client's wheel where numba is not installed.
"""

from types import ModuleType

_OPTIONAL = ("numba", "llvmlite")

_loops: ModuleType | None = None


def load() -> bool:
    """Lets all bundles of the process use compiled loops; returns whether they can.

    The first use of each loop compiles it, or loads what an earlier process compiled.
    """
    global _loops
    try:
        # Lazy, since it imports numba, which may not be installed.
        from twhin.bundle import row_loops as loops
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _OPTIONAL:
            raise
        return False
    _loops = loops
    return True


def row_loops() -> ModuleType | None:
    """Returns `twhin.bundle.row_loops` where it is loaded, else None."""
    return _loops
