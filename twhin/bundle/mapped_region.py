# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Files mapped side by side, so that their rows are one array.

    address   base          base + a          base + 2 a
              [file 0] ...  [file 1] .......  [file 2]

Every file begins at a multiple of `a`, which pages and rows divide: row i of
the array lies in a file, or between two.
"""

import ctypes
import math
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twhin.bundle import mapped_file
from twhin.errors import BundleError

# Not in the module mmap of Python 3.11, from Linux.
_MAP_NORESERVE = 0x4000
_MAP_FIXED = 0x10
_HUGE_PAGE_BYTES = 1 << 21


class MappedRegion:
    """Files mapped read-only; see `MappedFile` for how long, and what may change.

    Attributes:
      starts: The row of the region's array with which each file begins.
      size_bytes: The bytes of all files.
    """

    def __init__(self, files: Sequence[tuple[Path, int]], *, row_bytes: int) -> None:
        """Maps files of rows.

        Args:
          files: The path and the size of each, a multiple of `row_bytes`, at
            least one row.
          row_bytes: The bytes of a row.

        Raises:
          BundleError: A file is missing or has another size, or memory cannot be
            mapped.
        """
        step = math.lcm(_HUGE_PAGE_BYTES, row_bytes)
        ends = np.cumsum([-(-size // step) * step for _, size in files], dtype=np.int64)
        offsets = [0, *ends[:-1].tolist()]
        self.starts = tuple(offset // row_bytes for offset in offsets)
        self.size_bytes = sum(size for _, size in files)
        self._num_rows = self.starts[-1] + files[-1][1] // row_bytes
        self._row_bytes = row_bytes
        self._memory, self._first = _reserve(int(ends[-1]))
        self._parts = []
        for (path, size), offset in zip(files, offsets, strict=True):
            address = self._address + offset
            _map_file(path, size, address)
            self._parts.append((path, address, size))

    def array(self, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Returns all rows as a read-only array; between files they are zero."""
        array = np.frombuffer(
            self._memory,
            dtype,
            count=self._num_rows * self._row_bytes // np.dtype(dtype).itemsize,
            offset=self._first,
        )
        array.flags.writeable = False
        return array.reshape(self._num_rows, -1)

    def warm(self, *, lock: bool) -> None:
        """See `MappedFile.warm`."""
        for path, address, size in self._parts:
            mapped_file.warm_memory(path, address, size, lock=lock)

    @property
    def _address(self) -> int:
        """Where the first file begins."""
        start: int = np.frombuffer(self._memory, np.uint8).ctypes.data
        return start + self._first


def _reserve(size: int) -> tuple[mmap.mmap, int]:
    """Returns addresses without memory, and the first one on a huge page.

    When the object is gone, so is all that was mapped there.
    """
    try:
        memory = mmap.mmap(
            -1,
            size + _HUGE_PAGE_BYTES,
            flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE,
            prot=mmap.PROT_READ,
        )
    except OSError as err:
        raise BundleError(
            f"{size} bytes of addresses cannot be reserved: {err.strerror}"
        ) from err
    start = np.frombuffer(memory, np.uint8).ctypes.data
    return memory, -start % _HUGE_PAGE_BYTES


def _map_file(path: Path, size: int, address: int) -> None:
    """Maps a file at an address that is reserved."""
    descriptor = mapped_file.open_file(path, size)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        found = libc.mmap(
            ctypes.c_void_p(address),
            ctypes.c_size_t(size),
            ctypes.c_int(mmap.PROT_READ),
            ctypes.c_int(mmap.MAP_SHARED | _MAP_FIXED),
            ctypes.c_int(descriptor),
            ctypes.c_long(0),
        )
        if found != address:
            reason = os.strerror(ctypes.get_errno())
            raise BundleError(f"{path}: cannot be mapped: {reason}")
    finally:
        os.close(descriptor)
