# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Files mapped into memory, shared between all processes that map them."""

import ctypes
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twhin.errors import BundleError

# Linux 5.14: reads the pages and maps them, without copying.
_MADV_POPULATE_READ = 22


class MappedFile:
    """A file mapped read-only; nothing is read until it is touched.

    The mapping ends when the last array over it is gone: closing while a request
    still reads is safe. The file may be unlinked or renamed meanwhile, and must
    never be truncated or changed in place.
    """

    def __init__(self, path: Path, *, size_bytes: int) -> None:
        """Maps the file.

        Args:
          path: The file.
          size_bytes: The size that it must have.

        Raises:
          BundleError: The file is missing or has another size.
        """
        descriptor = open_file(path, size_bytes)
        try:
            self._mapping = (
                mmap.mmap(descriptor, size_bytes, access=mmap.ACCESS_READ)
                if size_bytes
                else None
            )
        finally:
            os.close(descriptor)
        self.path = path
        self.size_bytes = size_bytes

    def array(self, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """Returns the whole file as a read-only array of this type and shape.

        Raises:
          BundleError: The file does not have the size of such an array.
        """
        if self._mapping is None:
            array = np.empty(0, dtype=dtype)
        elif self.size_bytes % np.dtype(dtype).itemsize:
            raise BundleError(f"{self.path}: {self.size_bytes} bytes are no {dtype}")
        else:
            array = np.frombuffer(self._mapping, dtype=dtype)
        try:
            return array.reshape(shape)
        except ValueError as err:
            raise BundleError(
                f"{self.path}: holds {array.size} numbers; expected {shape}"
            ) from err

    def warm(self, *, lock: bool) -> None:
        """Brings all pages into memory, so that no request waits for the disk.

        Args:
          lock: Also keeps them there. Needs a sufficient `ulimit -l`.

        Raises:
          BundleError: The pages cannot be read or locked.
        """
        if self._mapping is not None:
            address = np.frombuffer(self._mapping, dtype=np.uint8).ctypes.data
            warm_memory(self.path, address, self.size_bytes, lock=lock)


def open_file(path: Path, size_bytes: int) -> int:
    """Opens a file for reading; returns its descriptor.

    Args:
      path: The file.
      size_bytes: The size that it must have.

    Raises:
      BundleError: The file is missing or has another size.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as err:
        raise BundleError(f"{path}: cannot be opened: {err.strerror}") from err
    actual = os.fstat(descriptor).st_size
    if actual != size_bytes:
        os.close(descriptor)
        raise BundleError(f"{path}: has {actual} bytes; the manifest says {size_bytes}")
    return descriptor


def warm_memory(path: Path, address: int, size_bytes: int, *, lock: bool) -> None:
    """Brings a mapped file into memory; see `MappedFile.warm`."""
    # Not by `mmap.madvise`, which would hold the interpreter lock throughout.
    if reason := _call("madvise", address, size_bytes, _MADV_POPULATE_READ):
        raise BundleError(f"{path}: cannot be read: {reason}")
    if lock and (reason := _call("mlock", address, size_bytes)):
        raise BundleError(
            f"{path}: {size_bytes} bytes cannot be locked in memory: {reason}; raise"
            " the limit on locked memory (ulimit -l)"
        )


def _call(name: str, address: int, size_bytes: int, *flags: int) -> str | None:
    """Calls a C function on mapped memory; returns why it failed, or None."""
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    failed = function(
        ctypes.c_void_p(address),
        ctypes.c_size_t(size_bytes),
        *map(ctypes.c_int, flags),
    )
    return os.strerror(ctypes.get_errno()) if failed else None
