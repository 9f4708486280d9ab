# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes the files of a bundle, with their size and checksum."""

import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from twhin.v1 import bundle_pb2

_BLOCK_BYTES = 1 << 24


class FileWriter:
    """A new file of a bundle; what it holds is on the disk when it is closed.

    Use it as a context manager, and ask for `entry` after it.
    """

    def __init__(self, folder: Path, path: str) -> None:
        """Creates the file, and the folders above it.

        Args:
          folder: The folder of the bundle version.
          path: The path of the file below it, with '/'.
        """
        self.path = path
        self._size_bytes = 0
        self._crc32 = 0
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self._file = target.open("xb")

    def __enter__(self) -> Self:
        """Returns the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Brings the content to the disk."""
        with self._file:
            if kind is None:
                self._file.flush()
                os.fsync(self._file.fileno())

    def write(self, array: npt.NDArray[Any]) -> None:
        """Appends the numbers of an array, row by row."""
        self.write_bytes(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    def write_bytes(self, data: bytes | memoryview) -> None:
        """Appends bytes."""
        self._file.write(data)
        self._crc32 = zlib.crc32(data, self._crc32)
        self._size_bytes += len(data)

    @property
    def entry(self) -> bundle_pb2.BundleFile:
        """What the manifest says about the file."""
        return bundle_pb2.BundleFile(
            path=self.path, size_bytes=self._size_bytes, crc32=self._crc32
        )


def write_file(
    folder: Path, path: str, *arrays: npt.NDArray[Any]
) -> bundle_pb2.BundleFile:
    """Writes arrays one after the other; returns the entry of the manifest."""
    with FileWriter(folder, path) as writer:
        for array in arrays:
            writer.write(array)
    return writer.entry


def entry_of(folder: Path, path: str) -> bundle_pb2.BundleFile:
    """Brings a file that a library wrote to the disk; returns the manifest's entry."""
    crc32, size_bytes = 0, 0
    with (folder / path).open("rb") as file:
        os.fsync(file.fileno())
        while block := file.read(_BLOCK_BYTES):
            crc32 = zlib.crc32(block, crc32)
            size_bytes += len(block)
    return bundle_pb2.BundleFile(path=path, size_bytes=size_bytes, crc32=crc32)


def sync_folders(root: Path) -> None:
    """Brings the names of all files below a folder to the disk."""
    for folder, _, _ in os.walk(root):
        sync_folder(Path(folder))


def sync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
