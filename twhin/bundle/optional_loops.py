# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Compiled loops where numba is installed; the client's wheel does without."""

import functools
from types import ModuleType

_OPTIONAL = ("numba", "llvmlite")


@functools.cache
def row_loops() -> ModuleType | None:
    """Returns `twhin.bundle.row_loops`; None where numba is not installed."""
    try:
        # Lazy, since the import compiles, and may fail.
        from twhin.bundle import row_loops as loops
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _OPTIONAL:
            raise
        return None
    return loops
