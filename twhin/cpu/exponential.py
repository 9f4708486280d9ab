# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The exponential function, for compiled loops that take many numbers at once."""

import math

import numpy as np

from twhin.cpu.compiled import compiled

_LOWEST = np.float32(-87.0)  # exp of less is no normal float32.
_LOG2_E = np.float32(1.4426950408889634)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
# ln 2 in two parts, the first of few bits, so that k ln 2 is exact.
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
# exp(x) on [-ln 2 / 2, ln 2 / 2] as 1 + x + x^2 p(x); Cephes (Moshier, 1992), expf.
_P5 = np.float32(1.9875691500e-4)
_P4 = np.float32(1.3981999507e-3)
_P3 = np.float32(8.3334519073e-3)
_P2 = np.float32(4.1665795894e-2)
_P1 = np.float32(1.6666665459e-1)
_P0 = np.float32(5.0000001201e-1)
_EXPONENT_BIAS, _MANTISSA_BITS = np.int32(127), np.int32(23)


@compiled
def exp(x: np.float32) -> np.float32:
    """Returns e^x for x <= 0, to 5e-7 of it; 0 where it would be no normal float32."""
    inside = _LOWEST if x < _LOWEST else x
    k = np.float32(math.floor(inside * _LOG2_E + _HALF))
    f = inside - k * _LN2_HIGH - k * _LN2_LOW
    p = ((((_P5 * f + _P4) * f + _P3) * f + _P2) * f + _P1) * f + _P0
    power = np.int32((np.int32(k) + _EXPONENT_BIAS) << _MANTISSA_BITS)
    y = (p * f * f + f + _ONE) * power.view(np.float32)
    return np.float32(0.0) if x < _LOWEST else y
