# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Asks for memory before it is needed, in compiled loops.

Rows all over a table take some 100 ns each from memory to arrive. A loop that asks
for all of them first waits for them together instead of for one after the other.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from twhin.cpu.compiled import compiled

_CACHE_LINE_BYTES = 64
_READ, _KEEP, _DATA = 0, 3, 1  # The arguments of LLVM's instruction.


@compiled
def prefetch(array: NDArray[Any], row: int) -> None:
    """Brings a row of an array into the cache; does not wait for it.

    Args:
      array: C-contiguous.
      row: Nothing happens to a row that is not there.
    """
    address = array.ctypes.data + row * array.strides[0]
    for offset in range(0, array.strides[0], _CACHE_LINE_BYTES):
        _prefetch_line(address + offset)


@intrinsic  # type: ignore[untyped-decorator]
def _prefetch_line(typing_context: Any, address: types.Integer) -> Any:
    """Brings the cache line of an address into the cache."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [pointer, number, number, number]),
            "llvm.prefetch.p0",
        )
        place = builder.inttoptr(arguments[0], pointer)
        hints = [number(hint) for hint in (_READ, _KEEP, _DATA)]
        builder.call(function, [place, *hints])
        return context.get_dummy_value()

    return types.void(address), generate
