# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The versions below the root of a bundle, and which of them is in use.

ROOT/current      one line: the name of the version in use
ROOT/v000001/     a complete version: it got its name when it was complete
ROOT/.incomplete  a version that is being written, or what a killed export left
ROOT/.lock        locked while a version is written
"""

import os
import re
import shutil
from pathlib import Path

from twhin.bundle.file_writer import sync_folder
from twhin.bundle.manifest import MANIFEST_FILE
from twhin.errors import BundleError

_CURRENT_FILE = "current"
_VERSION = re.compile(r"v([0-9]{6,})")
_TRASH_PREFIX = ".trash-"


def version_name(number: int) -> str:
    """Returns the name of a version's folder: "v000001"."""
    return f"v{number:06d}"


def version_number(name: str) -> int | None:
    """Returns the number in a version's name; None for any other name."""
    match = _VERSION.fullmatch(name)
    return int(match[1]) if match else None


def list_versions(root: Path) -> tuple[str, ...]:
    """Returns the names of the complete versions, oldest first.

    Raises:
      BundleError: The root cannot be read.
    """
    try:
        names = [entry.name for entry in os.scandir(root) if entry.is_dir()]
    except OSError as err:
        raise BundleError(f"{root}: cannot be read: {err.strerror}") from err
    found = ((version_number(name), name) for name in names)
    return tuple(
        name
        for number, name in sorted((n, name) for n, name in found if n is not None)
        if (root / name / MANIFEST_FILE).is_file()
    )


def current_version(root: Path) -> str:
    """Returns the name of the version in use.

    Raises:
      BundleError: The root has none.
    """
    path = root / _CURRENT_FILE
    try:
        name = path.read_bytes().decode(errors="replace").strip()
    except OSError as err:
        raise BundleError(f"{path}: cannot be read: {err.strerror}") from err
    if version_number(name) is None:
        raise BundleError(f"{path}: holds {name!r}; allowed: a version like 'v000001'")
    return name


def set_current(root: Path, version: str) -> None:
    """Makes a version the one in use; readers see the old or the new one.

    Raises:
      BundleError: The root has no such version.
    """
    known = list_versions(root)
    if version not in known:
        raise BundleError(f"{root}: has no version {version!r}; known: {list(known)}")
    aside = root / f".{_CURRENT_FILE}-{os.getpid()}"
    with aside.open("wb") as file:
        file.write(version.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(root / _CURRENT_FILE)
    sync_folder(root)


def version_folder(path: Path) -> Path:
    """Returns the folder of a version: `path` itself, or the one a root uses.

    Raises:
      BundleError: `path` is neither.
    """
    if (path / MANIFEST_FILE).is_file():
        return path
    if (path / _CURRENT_FILE).is_file():
        return path / current_version(path)
    raise BundleError(
        f"{path}: no bundle; allowed: a folder with {_CURRENT_FILE!r} or"
        f" {MANIFEST_FILE!r}"
    )


def remove_old_versions(root: Path, keep_last: int) -> tuple[str, ...]:
    """Removes all versions but the newest ones and the one in use.

    A process that has a removed version open keeps it.

    Args:
      root: The root.
      keep_last: The number of newest versions to keep, at least 1.

    Returns:
      The names of the removed versions.
    """
    known = list_versions(root)
    current = current_version(root)
    removed = tuple(name for name in known[:-keep_last] if name != current)
    for name in removed:
        # Renamed first, so that nobody opens half a version.
        (root / name).rename(root / f"{_TRASH_PREFIX}{name}")
    remove_trash(root)
    return removed


def remove_trash(root: Path) -> None:
    """Removes what a killed `remove_old_versions` left."""
    for path in root.glob(f"{_TRASH_PREFIX}*"):
        shutil.rmtree(path)
