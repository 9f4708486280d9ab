# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Loops over rows, compiled for this processor.

A chain of array operations reads its inputs from memory once for each of them; a
loop over rows keeps a row in the cache until it is done. numba compiles such loops
when a process first calls them, without a compiler on the machine.

What is kept on disk follows the file of a loop, not those of loops that it calls from
other files: who changes one of these removes `__pycache__/*.nbi` of its callers.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import llvmlite.binding
import numba

_Loop = TypeVar("_Loop", bound=Callable[..., Any])
# LLVM's default for processors with vectors of 512 bits is to take half of them.
numba.config.CPU_FEATURES = (
    llvmlite.binding.get_host_cpu_features().flatten() + ",-prefer-256-bit"
)
# Sums may be reordered; infinities and what is not a number keep their meaning.
_FLAGS = frozenset({"reassoc", "contract", "arcp", "nsz"})


def compiled(loop: _Loop) -> _Loop:
    """Compiles a loop, which then runs beside other threads.

    Args:
      loop: A function of arrays and numbers.

    What was compiled is kept beside the source, or else in the user's cache; where
    neither can be written, each process compiles for itself.
    """
    compile_ = functools.partial(
        numba.njit, nogil=True, error_model="numpy", fastmath=set(_FLAGS)
    )
    try:
        wrapped: _Loop = compile_(cache=True)(loop)
    except RuntimeError:
        wrapped = compile_()(loop)
    return wrapped
