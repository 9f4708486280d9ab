# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Finds and gathers rows in compiled loops, which need numba.

Each loop asks for all memory that it will read before it reads any of it.
"""

import numpy as np
from numpy.typing import NDArray

from twhin.bundle import id_hash
from twhin.bundle.id_hash import Int64Array, UInt64Array
from twhin.cpu.compiled import compiled
from twhin.cpu.prefetch import prefetch

_GOLDEN = np.uint64(id_hash.GOLDEN)
_FIRST = np.uint64(id_hash.FIRST)
_SECOND = np.uint64(id_hash.SECOND)
_27, _30, _31 = np.uint64(27), np.uint64(30), np.uint64(31)
_KEY_BITS = 64


@compiled
def find_int64(
    ids: Int64Array, buckets: Int64Array, keys: UInt64Array, bucket_bits: int
) -> Int64Array:
    """Returns the row of each id; see `find_keys`."""
    sought = np.empty(len(ids), np.uint64)
    for i in range(len(ids)):
        # As `id_hash.int64_keys`.
        key = np.uint64(ids[i]) ^ _GOLDEN
        key = (key ^ (key >> _30)) * _FIRST
        key = (key ^ (key >> _27)) * _SECOND
        sought[i] = key ^ (key >> _31)
    return find_keys(sought, buckets, keys, bucket_bits)


@compiled
def find_keys(
    sought: UInt64Array, buckets: Int64Array, keys: UInt64Array, bucket_bits: int
) -> Int64Array:
    """Returns the row of each key, or -1.

    Args:
      sought: [n].
      buckets: [2 ** bucket_bits + 1], the first row of each bucket.
      keys: The keys of all rows, ascending.
      bucket_bits: The leading bits of a key that number its bucket.
    """
    rows = np.empty(len(sought), np.int64)
    shift = np.uint64(_KEY_BITS - bucket_bits)
    for i in range(len(sought)):
        rows[i] = np.int64(sought[i] >> shift) if bucket_bits else 0
        prefetch(buckets, rows[i])
    for i in range(len(sought)):
        rows[i] = max(buckets[rows[i]], 0)
        prefetch(keys, rows[i])
    for i in range(len(sought)):
        row, key = rows[i], sought[i]
        while row < len(keys) and keys[row] < key:
            row += 1
        rows[i] = row if row < len(keys) and keys[row] == key else -1
    return rows


@compiled
def lookup(
    ids: Int64Array,
    buckets: Int64Array,
    keys: UInt64Array,
    bucket_bits: int,
    starts: Int64Array,
    shifts: Int64Array,
    stored: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> NDArray[np.bool_]:
    """Copies the rows of ids, zeros for an unknown one; returns which are known.

    See `find_int64` and `take` for the arguments; all shards are loaded.
    """
    rows = find_int64(ids, buckets, keys, bucket_bits)
    take(rows, starts, shifts, stored, out)
    found = np.empty(len(rows), np.bool_)
    for i in range(len(rows)):
        found[i] = rows[i] >= 0
        if not found[i]:
            for b in range(out.shape[1]):
                out[i, b] = 0
    return found


@compiled
def take(
    rows: Int64Array,
    starts: Int64Array,
    shifts: Int64Array,
    stored: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> None:
    """Copies rows; of a row that is not there some other.

    Args:
      rows: [n].
      starts: [s], s >= 1, the first rows of the loaded shards, ascending.
      shifts: [s], what is added to a shard's rows to have their places.
      stored: [m, bytes of a row], m >= 1.
      out: [n, bytes of a row], written.
    """
    places = np.empty(len(rows), np.int64)
    for i in range(len(rows)):
        shard = 0
        for s in range(1, len(starts)):
            shard += starts[s] <= rows[i]
        places[i] = min(max(rows[i] + shifts[shard], 0), len(stored) - 1)
        prefetch(stored, places[i])
    for i in range(len(rows)):
        place = places[i]
        for b in range(stored.shape[1]):
            out[i, b] = stored[place, b]
