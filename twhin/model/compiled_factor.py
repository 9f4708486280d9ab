# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The factors of matrix products in compiled loops, rounded where these are to be."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twhin.cpu import blas
from twhin.cpu.bfloat16 import round_rows
from twhin.cpu.compiled import compiled


class Factor(NamedTuple):
    """A matrix, as loops and as products take it.

    Attributes:
      exact: [m, k] float32.
      low: [m, k] bfloat16, for products; [0, k] where they take float32.
    """

    exact: NDArray[np.float32]
    low: NDArray[np.uint16]


@compiled
def make_factor(shape: tuple[int, int], is_low: bool) -> Factor:
    """Returns space for a factor.

    Args:
      shape: m and k.
      is_low: Whether products take bfloat16.
    """
    rows, columns = shape
    return Factor(
        exact=np.empty(shape, np.float32),
        low=np.empty((rows if is_low else 0, columns), np.uint16),
    )


@compiled
def part(factor: Factor, first: int, last: int) -> Factor:
    """Returns the rows [first, last)."""
    return Factor(exact=factor.exact[first:last], low=factor.low[first:last])


@compiled
def shaped(factor: Factor, rows: int, columns: int) -> Factor:
    """Returns the first numbers of a factor, [1, k], as [rows, columns]."""
    size = rows * columns
    low = factor.low.reshape(-1)[:size]
    return Factor(
        exact=factor.exact.reshape(-1)[:size].reshape(rows, columns),
        low=low.reshape(rows if low.size else 0, columns),
    )


@compiled
def round_factor(factor: Factor) -> None:
    """Rounds what products take, where they take bfloat16."""
    if factor.low.size:
        round_rows(factor.exact, factor.low)


@compiled
def multiply(
    a: Factor,
    a_is_transposed: bool,
    b: Factor,
    b_is_transposed: bool,
    beta: float,
    out: NDArray[np.float32],
) -> None:
    """Sets out to a b + beta out; see `blas.multiply`."""
    if a.low.size:
        blas.multiply(a.low, a_is_transposed, b.low, b_is_transposed, beta, out)
    else:
        blas.multiply(a.exact, a_is_transposed, b.exact, b_is_transposed, beta, out)
