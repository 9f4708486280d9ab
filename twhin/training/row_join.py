# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Equality joins of integer keys."""

import numpy as np
from numpy.typing import NDArray

from twhin.cpu.compiled import compiled

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads keys.
# So many slots for a key, as a power of two, that few keys of a slot differ.
_SPARE_BITS = 2
_KEY_BITS = 64
_NONE = np.int64(-1)


@compiled
def join(
    left: NDArray[np.int64], right: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Finds all pairs of equal keys, by a table of the right ones.

    Args:
      left: [L] int64, any values, repeated or not.
      right: [R] int64.

    Returns:
      (i, j), both [K] int64: all pairs with left[i] == right[j], in order of i,
      then of j.
    """
    bits = _SPARE_BITS
    while 1 << (bits - _SPARE_BITS) < len(right):
        bits += 1
    shift = np.uint64(_KEY_BITS - bits)
    # Of each slot the first key, and behind each key the next of its slot.
    first = np.full(1 << bits, _NONE)
    following = np.empty(len(right), np.int64)
    for j in range(len(right) - 1, -1, -1):
        slot = _slot(right[j], shift)
        following[j] = first[slot]
        first[slot] = j
    count = 0
    for key in left:
        j = first[_slot(key, shift)]
        while j != _NONE:
            count += key == right[j]
            j = following[j]
    pairs = np.empty((2, count), np.int64)
    place = 0
    for i in range(len(left)):
        j = first[_slot(left[i], shift)]
        while j != _NONE:
            if left[i] == right[j]:
                pairs[0, place], pairs[1, place] = i, j
                place += 1
            j = following[j]
    return pairs[0], pairs[1]


def expand(
    starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lists the members of ranges.

    Args:
      starts: [Q] int64, the first member of each range.
      counts: [Q] int64, the number of members of each.

    Returns:
      ranges [K] int64, ascending, and members [K] int64, for K = sum(counts).
    """
    ranges = np.repeat(np.arange(len(counts)), counts)
    ends = np.cumsum(counts)
    members = np.arange(len(ranges)) + np.repeat(starts - ends + counts, counts)
    return ranges, members


@compiled
def _slot(key: np.int64, shift: np.uint64) -> np.int64:
    """Returns the hash of a key, of as many bits as are left after the shift."""
    return np.int64((np.uint64(key) * _MULTIPLIER) >> shift)
