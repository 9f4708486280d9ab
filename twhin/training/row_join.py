# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Equality joins of integer keys, fast where few keys match."""

import numpy as np
from numpy.typing import NDArray

# Tables of 1 KiB to 256 KiB stay in the cache of a core.
_MIN_FILTER_BITS, _MAX_FILTER_BITS = 10, 18
# So many slots for a key, as a power of two, that few of them meet by chance.
_SPARE_BITS = 4
_MULTIPLIER = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: spreads consecutive keys.


def join(
    left: NDArray[np.int64], right: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Finds all pairs of equal keys.

    Both sides are first reduced to the keys whose hash occurs on the other side,
    which costs much less than to sort them.

    Args:
      left: [L] int64, any values, repeated or not.
      right: [R] int64.

    Returns:
      (i, j), both [K] int64: all pairs with left[i] == right[j], in order of i.
    """
    bits = max(len(left), len(right)).bit_length() + _SPARE_BITS
    bits = min(max(bits, _MIN_FILTER_BITS), _MAX_FILTER_BITS)
    left_slots, right_slots = _slots(left, bits), _slots(right, bits)
    is_in_left = np.zeros(1 << bits, dtype=np.bool_)
    is_in_right = np.zeros(1 << bits, dtype=np.bool_)
    is_in_right[right_slots] = True
    chosen_left = np.flatnonzero(is_in_right[left_slots])
    if not len(chosen_left):
        return chosen_left, chosen_left
    is_in_left[left_slots[chosen_left]] = True
    chosen_right = np.flatnonzero(is_in_left[right_slots])

    keys = right[chosen_right]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    wanted = left[chosen_left]
    starts = np.searchsorted(keys, wanted, side="left")
    counts = np.searchsorted(keys, wanted, side="right") - starts
    i, position = expand(starts, counts)
    return chosen_left[i], chosen_right[order[position]]


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


def _slots(keys: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Returns the hash of each key, in [0, 2 ** bits)."""
    spread = keys.view(np.uint64) * np.uint64(_MULTIPLIER)
    return (spread >> np.uint64(64 - bits)).view(np.int64)
