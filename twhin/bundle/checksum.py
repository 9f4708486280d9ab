# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks the content of a bundle's files."""

import os
import zlib
from pathlib import Path

from twhin.errors import BundleError
from twhin.v1 import bundle_pb2

_BLOCK_BYTES = 1 << 24


def check_file(folder: Path, file: bundle_pb2.BundleFile) -> None:
    """Reads a whole file and compares it with the manifest.

    Args:
      folder: The folder of the bundle version.
      file: The manifest's entry.

    Raises:
      BundleError: The file is missing, or has another size or checksum.
    """
    path = folder / file.path
    crc32, size_bytes = 0, 0
    buffer = memoryview(bytearray(min(_BLOCK_BYTES, file.size_bytes + 1)))
    try:
        with path.open("rb", buffering=0) as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while count := stream.readinto(buffer):
                crc32 = zlib.crc32(buffer[:count], crc32)
                size_bytes += count
    except OSError as err:
        raise BundleError(f"{path}: cannot be read: {err.strerror}") from err
    if size_bytes != file.size_bytes:
        raise BundleError(
            f"{path}: has {size_bytes} bytes; the manifest says {file.size_bytes}"
        )
    if crc32 != file.crc32:
        raise BundleError(
            f"{path}: is damaged: its CRC-32 is {crc32:08x}; the manifest says"
            f" {file.crc32:08x}"
        )
