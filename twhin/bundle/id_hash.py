# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The keys of entity ids: 64-bit numbers that spread evenly.

The key of an int64 id is a bijection of it (the finalizer of SplitMix64), so
that two ids never share a key and the id can be had back. The key of a string
is a hash: with its UTF-8 bytes, zero-padded, as little-endian words w_0, w_1,
... and odd multipliers m_0, m_1, ... drawn from a seed,

    key = mix(sum_j mix(w_j m_j))

It does not depend on how far a batch is padded, since mix(0) = 0.

Reference: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014 (the finalizer).
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

MAX_ID_BYTES = 1024

UInt64Array: TypeAlias = npt.NDArray[np.uint64]
Int64Array: TypeAlias = npt.NDArray[np.int64]

GOLDEN = 0x9E3779B97F4A7C15
FIRST = 0xBF58476D1CE4E5B9
SECOND = 0x94D049BB133111EB
# For arrays, as arrays of no dimension: numpy converts any other number anew.
_GOLDEN_U64, _FIRST_U64, _SECOND_U64, _27, _30, _31 = map(
    np.array, map(np.uint64, (GOLDEN, FIRST, SECOND, 27, 30, 31))
)
_FIRST_INVERSE = pow(FIRST, -1, 1 << 64)
_SECOND_INVERSE = pow(SECOND, -1, 1 << 64)
_MASK = (1 << 64) - 1
_NO_ID = b"\xff"  # Not UTF-8.
# Ids that are hashed at a time: bounds the temporary memory.
_BLOCK_IDS = 1 << 16


def mix(values: UInt64Array) -> UInt64Array:
    """Returns a bijection of each value; 0 stays 0.

    Args:
      values: uint64, any shape; not changed.
    """
    mixed: UInt64Array = values ^ (values >> _30)
    mixed *= _FIRST_U64
    mixed ^= mixed >> _27
    mixed *= _SECOND_U64
    mixed ^= mixed >> _31
    return mixed


def unmix(mixed: UInt64Array) -> UInt64Array:
    """Returns the values of which `mix` gives `mixed`."""
    values: UInt64Array = mixed ^ (mixed >> np.uint64(31)) ^ (mixed >> np.uint64(62))
    values *= _SECOND_INVERSE
    values ^= (values >> 27) ^ (values >> 54)
    values *= _FIRST_INVERSE
    values ^= (values >> 30) ^ (values >> 60)
    return values


def mix_one(value: int) -> int:
    """Returns `mix` of a single Python int in [0, 2 ** 64)."""
    value = ((value ^ (value >> 30)) * FIRST) & _MASK
    value = ((value ^ (value >> 27)) * SECOND) & _MASK
    return value ^ (value >> 31)


def int64_keys(ids: Int64Array) -> UInt64Array:
    """Returns the key of each int64 id; uint64 [n]."""
    return mix(ids.view(np.uint64) ^ _GOLDEN_U64)


def int64_key(entity_id: int) -> int:
    """Returns the key of one int64 id, in [0, 2 ** 64)."""
    return mix_one((entity_id & _MASK) ^ GOLDEN)


def ids_of_int64_keys(keys: UInt64Array) -> Int64Array:
    """Returns the int64 ids that `int64_keys` maps to `keys`."""
    return (unmix(keys) ^ np.uint64(GOLDEN)).view(np.int64)


def pack_strings(
    ids: Sequence[str] | Sequence[bytes] | npt.NDArray[Any],
) -> UInt64Array:
    """Returns strings as zero-padded words.

    Args:
      ids: n strings, or n byte strings of UTF-8.

    Returns:
      uint64 [n, W], W the words of the longest one. A string that is no id, with a
      NUL or more than `MAX_ID_BYTES`, becomes words that no stored id has.
    """
    encoded = [i.encode() if isinstance(i, str) else i for i in ids]
    if b"\0" in b"".join(encoded):
        encoded = [_NO_ID if b"\0" in i else i for i in encoded]
    longest = max(map(len, encoded), default=1)
    width = (min(max(longest, 1), MAX_ID_BYTES + 8) + 7) // 8
    return np.array(encoded, dtype=f"S{8 * width}").view(np.uint64).reshape(-1, width)


def string_keys(words: UInt64Array, seed: int) -> UInt64Array:
    """Returns the hash of each string of `pack_strings`; uint64 [n]."""
    parts = mix(words * multipliers(words.shape[1], seed))
    return mix(parts.sum(axis=1, dtype=np.uint64))


def string_key(entity_id: bytes, multipliers: Sequence[int]) -> int:
    """Returns the hash of one string, in [0, 2 ** 64).

    Args:
      entity_id: UTF-8, without NUL.
      multipliers: `multipliers` of the seed, as many as the string has words.
    """
    total = 0
    for place in range(0, len(entity_id), 8):
        word = int.from_bytes(entity_id[place : place + 8], "little")
        total += mix_one(word * multipliers[place >> 3] & _MASK)
    return mix_one(total & _MASK)


def ragged_string_keys(
    words: UInt64Array, offsets: Int64Array, seed: int
) -> UInt64Array:
    """Returns the hash of strings that lie one after the other.

    Args:
      words: uint64, the words of all strings.
      offsets: int64 [n + 1]; string i is words[offsets[i]:offsets[i + 1]], at
        least one word.
      seed: The seed.

    Returns:
      uint64 [n], as `string_keys` of the same strings.
    """
    factors = multipliers(MAX_ID_BYTES // 8, seed)
    keys = np.empty(len(offsets) - 1, np.uint64)
    for start in range(0, len(keys), _BLOCK_IDS):
        bounds = offsets[start : start + _BLOCK_IDS + 1]
        firsts = bounds[:-1] - bounds[0]
        places = np.arange(bounds[-1] - bounds[0]) - firsts.repeat(np.diff(bounds))
        parts = mix(words[bounds[0] : bounds[-1]] * factors.take(places))
        keys[start : start + len(firsts)] = np.add.reduceat(parts, firsts)
    return mix(keys)


def shards_of_keys(keys: UInt64Array, num_shards: int) -> Int64Array:
    """Returns the shard in [0, num_shards) of each key; int64 [n].

    The result never falls as the key grows, so that a shard is a contiguous
    range of rows.
    """
    return (((keys >> 32) * np.uint64(num_shards)) >> 32).view(np.int64)


def first_keys_of_shards(num_shards: int) -> UInt64Array:
    """Returns the smallest key that each shard may have; uint64 [num_shards]."""
    shards = np.arange(num_shards, dtype=np.uint64)
    firsts = (shards << np.uint64(32)) + np.uint64(num_shards - 1)
    firsts //= np.uint64(num_shards)
    return firsts << np.uint64(32)


def multipliers(num_words: int, seed: int) -> UInt64Array:
    """Returns the odd multipliers of the first words; uint64 [num_words]."""
    return mix(
        np.arange(1, num_words + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        ^ np.uint64(mix_one(seed + 1))
    ) | np.uint64(1)
