# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A folder that is written aside and appears complete or not at all.

    PARENT/.NAME.preparing/    while it is written; ours as long as it is locked
    PARENT/NAME/               after one rename

A killed writer leaves the first, which the next one deletes.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from twhin.errors import DataError
from twhin.graph.manifest import MANIFEST_FILE


def check_replaceable(target: Path) -> None:
    """Checks that a folder may be written in place of `target`.

    Raises:
      DataError: Something is there that no preparation wrote.
    """
    if not target.exists():
        return
    if not target.is_dir():
        raise DataError(f"{target}: is a file; allowed: a folder, or nothing")
    if any(target.iterdir()) and not (target / MANIFEST_FILE).exists():
        raise DataError(
            f"{target}: holds files but no {MANIFEST_FILE!r}; allowed: an empty folder,"
            " an earlier preparation, or nothing"
        )


@contextlib.contextmanager
def aside_folder(target: Path) -> Iterator[Path]:
    """Gives an empty folder beside `target` and renames it to `target` at the end.

    If the body raises, the folder is deleted and `target` is left as it was.

    Args:
      target: The folder to make or to replace, absolute.

    Raises:
      DataError: `target` holds something else, another process writes it now,
        or the file system refuses.
    """
    check_replaceable(target)
    aside = target.parent / f".{target.name}.preparing"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir(exist_ok=True)
        lock = os.open(aside, os.O_RDONLY)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written ({error.strerror}); allowed: a folder that"
            " can be made"
        ) from error
    try:
        _lock(lock, aside, target)
        _empty(aside)
        try:
            yield aside
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        _sync_tree(aside)
        _move(aside, target)
    finally:
        os.close(lock)


def _lock(lock: int, aside: Path, target: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = os.path.samestat(os.fstat(lock), os.stat(aside))
    except OSError:
        is_ours = False
    if not is_ours:
        raise DataError(
            f"{target}: another process prepares it now (it holds {str(aside)!r});"
            " allowed: one at a time"
        )


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _sync_tree(folder: Path) -> None:
    """Brings all files, and the folders that name them, to the disk."""
    for parent, _, names in os.walk(folder, topdown=False):
        for path in (*(os.path.join(parent, name) for name in names), parent):
            _sync(path)


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move(aside: Path, target: Path) -> None:
    """Puts `aside` in the place of `target`; at no time is `target` incomplete."""
    replaced = target.parent / f".{target.name}.replaced"
    shutil.rmtree(replaced, ignore_errors=True)
    if target.exists():
        target.rename(replaced)
    aside.rename(target)
    _sync(target.parent)
    shutil.rmtree(replaced, ignore_errors=True)
