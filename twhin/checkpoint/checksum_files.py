# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checksums of a checkpoint's files: taken while writing, compared later."""

import contextlib
import io
import os
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, cast

from torch.distributed.checkpoint.filesystem import FileSystem

from twhin.checkpoint.manifest import FileEntry
from twhin.errors import CheckpointError

_BLOCK_BYTES = 4 << 20
_NUM_THREADS = 4


class ChecksumFileSystem(FileSystem):
    """Writes files as torch does, and remembers their sizes and checksums.

    CRC-32 finds every flip of bits within 32 neighbouring ones, and any other
    damage but for one in 4 billion; it is several times faster than SHA-256.

    Attributes:
      entries: By name, the files written so far.
    """

    def __init__(self) -> None:
        """Starts with no file."""
        super().__init__()
        self.entries: dict[str, FileEntry] = {}

    @contextlib.contextmanager
    def create_stream(
        self, path: str | os.PathLike[str], mode: str
    ) -> Iterator[io.IOBase]:
        """Opens a file; one opened with "wb" is remembered when it is closed."""
        with Path(path).open(mode) as stream:
            if mode != "wb":
                yield cast(io.IOBase, stream)
                return
            counted = _ChecksumStream(stream)
            try:
                yield counted
            except RuntimeError as error:
                # torch.save replaces the reason of a failed write by its own.
                raise counted.error or error from error
        self.entries[Path(path).name] = counted.entry()

    def rename(
        self, path: str | os.PathLike[str], new_path: str | os.PathLike[str]
    ) -> None:
        """Renames a file that was written before."""
        super().rename(path, new_path)
        self.entries[Path(new_path).name] = self.entries.pop(Path(path).name)


class _ChecksumStream(io.IOBase):
    """A file that is written from its start to its end."""

    def __init__(self, stream: IO[Any]) -> None:
        self._stream = stream
        self._crc = 0
        self._size = 0
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Writes bytes behind those written before; keeps an error in `error`."""
        try:
            size = self._stream.write(data)
        except OSError as error:
            self.error = error
            raise
        self._crc = zlib.crc32(data, self._crc)
        self._size += size
        return size

    def tell(self) -> int:
        """Returns the number of bytes written."""
        return self._size

    def writable(self) -> bool:
        """Returns True."""
        return True

    def flush(self) -> None:
        """Hands all bytes to the operating system."""
        if not self._stream.closed:
            self._stream.flush()

    def fileno(self) -> int:
        """Returns the descriptor, after all bytes have gone through it."""
        self._stream.flush()
        return self._stream.fileno()

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()
        super().close()

    def entry(self) -> FileEntry:
        """Returns the size and the checksum of what was written."""
        return FileEntry(size_bytes=self._size, crc32=f"{self._crc:08x}")


def check_sizes(folder: Path, files: Mapping[str, FileEntry]) -> None:
    """Checks that all files are there, with their sizes.

    Raises:
      CheckpointError: A file is missing or has another size.
    """
    for name, entry in files.items():
        path = folder / name
        try:
            size = path.stat().st_size
        except OSError as error:
            raise CheckpointError(
                f"{path}: cannot be read ({error.strerror}); allowed: the files that"
                " checkpoint.json names"
            ) from error
        if size != entry.size_bytes:
            raise CheckpointError(
                f"{path}: has {size} bytes; allowed: {entry.size_bytes}, as"
                " checkpoint.json says"
            )


def check_files(folder: Path, files: Mapping[str, FileEntry]) -> None:
    """Reads all files and checks that none has changed.

    Raises:
      CheckpointError: A file is missing, or has another size or content.
    """
    check_sizes(folder, files)
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        checksums = pool.map(lambda name: _checksum(folder / name), files)
        for (name, entry), crc32 in zip(files.items(), checksums, strict=True):
            if crc32 != entry.crc32:
                raise CheckpointError(
                    f"{folder / name}: damaged: has the CRC-32 {crc32}; allowed:"
                    f" {entry.crc32}, as checkpoint.json says"
                )


def _checksum(path: Path) -> str:
    crc = 0
    try:
        with path.open("rb", buffering=0) as stream:
            while block := stream.read(_BLOCK_BYTES):
                crc = zlib.crc32(block, crc)
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); allowed: a readable file"
        ) from error
    return f"{crc:08x}"
