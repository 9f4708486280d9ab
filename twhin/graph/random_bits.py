# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Random numbers as a function of a key and a counter, without any state.

The generator is SplitMix64: output i of seed s is mix(s + (i + 1) * gamma) with
gamma = 2 ** 64 / golden ratio. Any output can be computed on its own, so numbers
belong to what they are drawn for and not to who draws them, or when.

Reference: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
Generators", OOPSLA 2014.
"""

import numpy as np
from numpy.typing import NDArray

_GAMMA = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = 2**64 - 1


def stream_key(*numbers: int) -> int:
    """Returns a 64-bit key for a tuple of integers; the order matters."""
    key = 0
    for number in numbers:
        # `random_bits` of one number, without the cost of an array.
        key ^= number & _MASK
        key = (key * _GAMMA + _GAMMA) & _MASK
        key = ((key ^ (key >> 30)) * _FIRST) & _MASK
        key = ((key ^ (key >> 27)) * _SECOND) & _MASK
        key ^= key >> 31
    return key


def random_bits(key: int, counters: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns 64 random bits for each counter.

    Args:
      key: From `stream_key`; numbers of different keys are unrelated.
      counters: [...] uint64.

    Returns:
      [...] uint64, uniform over all 64-bit numbers.
    """
    bits = counters * np.uint64(_GAMMA)
    bits += np.uint64((key + _GAMMA) & _MASK)
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(_FIRST)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(_SECOND)
    bits ^= bits >> np.uint64(31)
    return bits


def uniform_floats(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Maps random bits to multiples of 2**-53 in [0, 1)."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniform_integers(bits: NDArray[np.uint64], bound: int) -> NDArray[np.int64]:
    """Maps random bits to integers in [0, bound), each equally likely.

    Args:
      bits: [...] uint64.
      bound: In [1, 2**40]: the probabilities differ by less than 2**-13 of them.

    Returns:
      [...] int64.
    """
    # u < 1 implies u * bound < bound in float64 too, for u a multiple of 2**-53.
    return (uniform_floats(bits) * bound).astype(np.int64)
