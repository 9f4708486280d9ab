# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""torch's own matrix product, for compiled loops.

A loop that multiplies a chunk's matrices itself keeps them in its core's cache,
where an operation of torch would take all chunks at once.
"""

import ctypes
from pathlib import Path

import llvmlite.binding
import numpy as np
import torch
from numba import types
from numpy.typing import NDArray

from twhin.cpu.compiled import compiled

_TRANSPOSED, _PLAIN = ord("T"), ord("N")


def _find_sgemm() -> int | None:
    """Returns where BLAS' SGEMM of torch's library is; None where it exports none."""
    path = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        # Loaded already; it holds MKL, whose threads torch.set_num_threads sets.
        function = ctypes.CDLL(str(path)).sgemm_
    except (OSError, AttributeError):
        return None
    return ctypes.cast(function, ctypes.c_void_p).value


_address = _find_sgemm()
HAS_SGEMM = _address is not None
if _address is not None:
    # Compiled loops that are kept on disk find it by this name.
    llvmlite.binding.add_symbol("twhin_sgemm", _address)
# In Fortran all arguments are addresses.
_sgemm = types.ExternalFunction("twhin_sgemm", types.void(*[types.voidptr] * 13))


@compiled
def multiply(
    a: NDArray[np.float32],
    a_is_transposed: bool,
    b: NDArray[np.float32],
    b_is_transposed: bool,
    beta: float,
    out: NDArray[np.float32],
) -> None:
    """Sets out to a b + beta out; call where `HAS_SGEMM`.

    Args:
      a: [m, k], or [k, m] where transposed; its rows are dense.
      a_is_transposed: Whether a's transpose is meant.
      b: [k, n], or [n, k] where transposed; its rows are dense.
      b_is_transposed: Whether b's transpose is meant.
      beta: 0 or 1; with 0 what `out` held is not read.
      out: [m, n]; its rows are dense.
    """
    flags = np.empty(2, np.uint8)
    flags[0] = _TRANSPOSED if b_is_transposed else _PLAIN
    flags[1] = _TRANSPOSED if a_is_transposed else _PLAIN
    sizes = np.empty(6, np.int32)
    sizes[0], sizes[1] = out.shape[1], out.shape[0]
    sizes[2] = a.shape[0] if a_is_transposed else a.shape[1]
    sizes[3] = b.strides[0] // b.itemsize
    sizes[4] = a.strides[0] // a.itemsize
    sizes[5] = out.strides[0] // out.itemsize
    factors = np.empty(2, np.float32)
    factors[0], factors[1] = 1.0, beta
    # Columns first: what it sees are the transposes, out' = b' a'.
    _sgemm(
        flags.ctypes,
        flags[1:].ctypes,
        sizes.ctypes,
        sizes[1:].ctypes,
        sizes[2:].ctypes,
        factors.ctypes,
        b.ctypes,
        sizes[3:].ctypes,
        a.ctypes,
        sizes[4:].ctypes,
        factors[1:].ctypes,
        out.ctypes,
        sizes[5:].ctypes,
    )
