# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A version that is being written aside, and appears when it is complete."""

import fcntl
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from google.protobuf import timestamp_pb2

from twhin.bundle import versions
from twhin.bundle.file_writer import sync_folder, sync_folders
from twhin.bundle.manifest import FORMAT_VERSION, write_manifest
from twhin.errors import BundleError
from twhin.v1 import bundle_pb2

_LOCK_FILE = ".lock"


def incomplete_folder(root: Path) -> Path:
    """Returns the folder in which the next version is written."""
    return root / ".incomplete"


class NewVersion:
    """The right to write the next version, and its folder. A context manager.

    Leaving it without `publish` removes what was written; a process that is
    killed leaves a folder that no reader opens and the next export removes.

    Attributes:
      folder: Where to write the version's files.
      number: The number of the version, known once the context is entered.
    """

    def __init__(self, root: Path) -> None:
        """Names the root, which is created where it is missing."""
        self.folder = incomplete_folder(root)
        self.number = 0
        self._root = root
        self._lock = -1

    def __enter__(self) -> Self:
        """Locks the root and creates the empty folder.

        Raises:
          BundleError: Another process is writing a version, or the root cannot
            be written.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(
                self._root / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644
            )
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            versions.remove_trash(self._root)
            self._remove()
            self.folder.mkdir()
            self.number = self._next_number()
        except BlockingIOError as err:
            os.close(self._lock)
            raise BundleError(
                f"{self._root}: another export is writing a version; allowed: one at"
                " a time"
            ) from err
        except OSError as err:
            if self._lock >= 0:
                os.close(self._lock)
            raise BundleError(
                f"{self._root}: cannot be written: {err.strerror}"
            ) from err
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Removes the folder unless it was published, and unlocks."""
        self._remove()
        os.close(self._lock)

    def publish(
        self,
        manifest: bundle_pb2.BundleManifest,
        *,
        keep_last: int,
        create_time: timestamp_pb2.Timestamp | None = None,
    ) -> str:
        """Completes the version, makes it the one in use and removes old ones.

        Args:
          manifest: What was written; format, version and time are filled in.
          keep_last: The number of newest versions to keep, at least 1.
          create_time: The time; None for now.

        Returns:
          The name of the version.

        Raises:
          BundleError: The manifest does not describe a bundle.
        """
        manifest.format_version = FORMAT_VERSION
        manifest.version = self.number
        if create_time is None:
            manifest.create_time.GetCurrentTime()
        else:
            manifest.create_time.CopyFrom(create_time)
        write_manifest(self.folder, manifest)
        sync_folders(self.folder)
        name = versions.version_name(self.number)
        self.folder.rename(self._root / name)
        sync_folder(self._root)
        versions.set_current(self._root, name)
        versions.remove_old_versions(self._root, keep_last)
        return name

    def _next_number(self) -> int:
        """Returns a number larger than that of any folder, complete or not."""
        numbers = map(versions.version_number, os.listdir(self._root))
        return max((n for n in numbers if n is not None), default=0) + 1

    def _remove(self) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)
