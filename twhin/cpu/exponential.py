# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Powers of 2, for compiled loops that take many numbers at once."""

import numpy as np

from twhin.cpu.compiled import compiled

LOG2_E = np.float32(1.4426950408889634)  # e^x = 2^(x LOG2_E)

_LOWEST = np.float32(-126.0)  # 2^x of less is no normal float32.
_ONE = np.float32(1.0)
# 2^x on [-1/2, 1/2] as 1 + x p(x); Cephes (Moshier, 1992), exp2f.
_P5 = np.float32(1.535336188319500e-4)
_P4 = np.float32(1.339887440266574e-3)
_P3 = np.float32(9.618437357674640e-3)
_P2 = np.float32(5.550332471162809e-2)
_P1 = np.float32(2.402264791363012e-1)
_P0 = np.float32(6.931472028550421e-1)
_MANTISSA_BITS = np.uint32(23)
# Added to x, it leaves the nearest integer and the exponent's bias in the lowest bits.
_ROUNDING = np.float32(1.5 * 2**23 + 127)
_ROUNDING_BITS = _ROUNDING.view(np.int32)


@compiled
def exp2(x: np.float32) -> np.float32:
    """Returns 2^x for x <= 0, to 1e-7 of it; 0 where it would be no normal float32."""
    inside = _LOWEST if x < _LOWEST else x
    rounded = np.float32(inside + _ROUNDING)
    # As integers: differences of floats might be reordered to nothing.
    k = np.int32(rounded.view(np.int32) - _ROUNDING_BITS)
    f = inside - np.float32(k)
    p = ((((_P5 * f + _P4) * f + _P3) * f + _P2) * f + _P1) * f + _P0
    power = np.uint32(rounded.view(np.uint32) << _MANTISSA_BITS)
    y = (p * f + _ONE) * power.view(np.float32)
    return np.float32(0.0) if x < _LOWEST else y
