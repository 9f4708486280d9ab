# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""torch's own matrix products, for compiled loops.

A loop that multiplies a chunk's matrices itself keeps them in its core's cache,
where an operation of torch would take all chunks at once.
"""

import ctypes
from pathlib import Path
from typing import TypeAlias

import llvmlite.binding
import numpy as np
import torch
from numba import types
from numpy.typing import NDArray

from twhin.cpu.compiled import compiled

_TRANSPOSED, _PLAIN = ord("T"), ord("N")
_BFLOAT16_BYTES = 2

# float32, or bfloat16 as numpy's integers of 16 bits; see `bfloat16`.
Matrix: TypeAlias = NDArray[np.float32] | NDArray[np.uint16]


def _offer(name: str) -> bool:
    """Gives a product of torch's library to compiled loops, as `twhin_` and its name.

    Returns:
      Whether the library exports it.
    """
    path = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        # Loaded already; it holds MKL, whose threads torch.set_num_threads sets.
        function = getattr(ctypes.CDLL(str(path)), f"{name}_")
    except (OSError, AttributeError):
        return False
    address = ctypes.cast(function, ctypes.c_void_p).value
    # Compiled loops that are kept on disk find it by this name.
    llvmlite.binding.add_symbol(f"twhin_{name}", address)
    return True


HAS_PRODUCTS = _offer("sgemm") and _offer("gemm_bf16bf16f32")
# In Fortran all arguments are addresses.
_SIGNATURE = types.void(*[types.voidptr] * 13)
_sgemm = types.ExternalFunction("twhin_sgemm", _SIGNATURE)
_gemm_bfloat16 = types.ExternalFunction("twhin_gemm_bf16bf16f32", _SIGNATURE)


@compiled
def multiply(
    a: Matrix,
    a_is_transposed: bool,
    b: Matrix,
    b_is_transposed: bool,
    beta: float,
    out: NDArray[np.float32],
) -> None:
    """Sets out to a b + beta out, summed in float32; call where `HAS_PRODUCTS`.

    Args:
      a: [m, k], or [k, m] where transposed, float32 or bfloat16; its rows are dense.
      a_is_transposed: Whether a's transpose is meant.
      b: [k, n], or [n, k] where transposed, of a's type; its rows are dense.
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
    product = (
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
    if a.itemsize == _BFLOAT16_BYTES:
        _gemm_bfloat16(*product)
    else:
        _sgemm(*product)
