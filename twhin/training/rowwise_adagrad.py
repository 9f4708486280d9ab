# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Row-wise Adagrad on the rows of a table, in memory."""

import math

import numpy as np
from numpy.typing import NDArray

from twhin.cpu import pieces
from twhin.cpu.compiled import compiled
from twhin.cpu.pieces import Pieces, take
from twhin.cpu.prefetch import prefetch

# Gradients whose rows are asked for before they are needed.
_AHEAD = 8


def update_rows(
    table: NDArray[np.float32],
    state: NDArray[np.float32],
    rows: NDArray[np.int64],
    gradient: NDArray[np.float32],
    *,
    learning_rate: float,
    eps: float,
) -> None:
    """Updates rows in place, each by the sum g of its gradients.

        s <- s + mean(g^2)
        x <- x - learning_rate g / (sqrt(s) + eps)

    The result has the same bits for any number of threads.

    Reference: Duchi et al., "Adaptive Subgradient Methods for Online Learning and
    Stochastic Optimization", JMLR 2011, with one s for a row.

    Args:
      table: [n, D].
      state: [n], s of each row.
      rows: [k], rows of the table; duplicates allowed.
      gradient: [k, D].
      learning_rate: The step size.
      eps: Avoids a division by zero.
    """
    # A row's gradients side by side, in their order: row, then position.
    shift = max(1, len(rows).bit_length())
    order = np.sort((rows << shift) | np.arange(len(rows)))
    rate, offset = np.float32(learning_rate), np.float32(eps)

    def update(work: Pieces) -> None:
        _update(work, table, state, gradient, order, shift, rate, offset)

    bounds = np.linspace(0, len(rows), pieces.num_pieces(gradient.size) + 1)
    pieces.run(update, pieces.make_pieces(bounds.astype(np.int64)))


@compiled
def _update(
    work: Pieces,
    table: NDArray[np.float32],
    state: NDArray[np.float32],
    gradient: NDArray[np.float32],
    order: NDArray[np.int64],
    shift: int,
    learning_rate: np.float32,
    eps: np.float32,
) -> None:
    """Updates the rows whose first gradient is in pieces of `order`.

    All of it is one loop: numba may compile a function of its own in two ways, which
    round differently.
    """
    dim, position = table.shape[1], (1 << shift) - 1
    total = np.empty(dim, np.float32)
    k = take(work)
    while k + 1 < len(work.bounds):
        here, stop = work.bounds[k], work.bounds[k + 1]
        while here < stop:
            row = order[here] >> shift
            if here + _AHEAD < stop:
                coming = order[here + _AHEAD]
                prefetch(state, coming >> shift)
                prefetch(table, coming >> shift)
                prefetch(gradient, coming & position)
            if here and order[here - 1] >> shift == row:
                here += 1  # It belongs to the piece before.
                continue
            first = gradient[order[here] & position]
            for d in range(dim):
                total[d] = first[d]
            here += 1
            while here < len(order) and order[here] >> shift == row:
                another = gradient[order[here] & position]
                for d in range(dim):
                    total[d] += another[d]
                here += 1
            squares = np.float32(0.0)
            for d in range(dim):
                squares += total[d] * total[d]
            state[row] += squares / np.float32(dim)
            factor = learning_rate / (np.float32(math.sqrt(state[row])) + eps)
            vector = table[row]
            for d in range(dim):
                vector[d] -= factor * total[d]
        k = take(work)
