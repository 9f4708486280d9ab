# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Pieces of work that threads take one after the other, in compiled loops.

Whoever is done takes the next one, without the interpreter: a thread that begins
late, or whose core is slower, takes fewer.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from twhin.cpu import threads
from twhin.cpu.compiled import compiled

# Many enough that threads end at about the same time.
_PIECES_OF_A_THREAD = 8


class Pieces(NamedTuple):
    """Consecutive pieces of work.

    Attributes:
      bounds: [K + 1] int64, where each piece begins, and behind the last.
      taken: [1] int64, how often one has been asked for.
    """

    bounds: NDArray[np.int64]
    taken: NDArray[np.int64]


def make_pieces(bounds: NDArray[np.int64]) -> Pieces:
    """Returns pieces of which none has been taken."""
    return Pieces(bounds=bounds, taken=np.zeros(1, np.int64))


def num_pieces(num_elements: int) -> int:
    """Returns K for an amount of work: 1 where it is not worth a second thread."""
    num_threads = threads.count()
    if num_threads == 1:
        return 1
    most = num_elements // threads.ELEMENTS_ALONE
    return max(1, min(most, num_threads * _PIECES_OF_A_THREAD))


def run(call: Callable[[Pieces], None], pieces: Pieces) -> None:
    """Makes a call in several threads, each of which takes pieces until none is left.

    Args:
      call: Takes the pieces, by `take`.
      pieces: The work.
    """
    num_threads = min(threads.count(), len(pieces.bounds) - 1)
    threads.run_all([functools.partial(call, pieces)] * num_threads)


@compiled
def take(pieces: Pieces) -> int:
    """Returns the next piece, the caller's alone; K or more where none is left."""
    taken: int = _add_one(pieces.taken.ctypes.data)
    return taken


@intrinsic  # type: ignore[untyped-decorator]
def _add_one(typing_context: Any, address: types.Integer) -> Any:
    """Adds 1 to the int64 at an address, in one step; returns what it was."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = ir.IntType(64)
        place = builder.inttoptr(arguments[0], number.as_pointer())
        return builder.atomic_rmw("add", place, number(1), "monotonic")

    return types.int64(address), generate
