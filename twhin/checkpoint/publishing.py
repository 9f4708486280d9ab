# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Makes a written folder a checkpoint, by a rename, and deletes old ones."""

import logging
import os
import shutil
from pathlib import Path

from twhin.checkpoint import folders

_WRITING = ".writing"
_REPLACED = ".replaced"
_DELETED = ".deleted"

_logger = logging.getLogger(__name__)


def aside_of(target: Path) -> Path:
    """Returns where a checkpoint is written before it is complete."""
    return target.with_name(f".{target.name}{_WRITING}")


def make_aside(target: Path) -> None:
    """Makes the empty folder that a checkpoint is written to.

    Raises:
      OSError: The file system refuses.
    """
    aside = aside_of(target)
    if aside.exists():
        shutil.rmtree(aside)
    aside.mkdir(parents=True)


def remove_aside(target: Path) -> None:
    """Deletes what was written, if anything."""
    shutil.rmtree(aside_of(target), ignore_errors=True)


def clean(checkpoints: Path) -> None:
    """Deletes what a killed writer left, and puts back what it was replacing."""
    if not checkpoints.is_dir():
        return
    for path in checkpoints.iterdir():
        target = checkpoints / Path(path.name).stem.removeprefix(".")
        if path.name.startswith(".step-") and path.is_dir():
            if path.name.endswith(_REPLACED) and not target.exists():
                path.rename(target)
            else:
                shutil.rmtree(path)


def publish(target: Path) -> None:
    """Renames a complete folder to its name, in the place of one from before.

    Raises:
      OSError: The file system refuses.
    """
    aside = aside_of(target)
    sync_folder(aside)
    replaced = target.with_name(f".{target.name}{_REPLACED}")
    if target.exists():
        shutil.rmtree(replaced, ignore_errors=True)
        target.rename(replaced)
    aside.rename(target)
    sync_folder(target.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def keep_newest(newest: Path, keep_last: int) -> None:
    """Deletes old checkpoints.

    Kept are `newest`, the `keep_last` - 1 before it and the best one. Those of
    later steps are of a training that went back, and go.

    Args:
      newest: The checkpoint that was written last.
      keep_last: At least 1.

    Raises:
      OSError: The file system refuses.
    """
    step = folders.step_of(newest)
    best = folders.read_best(newest.parent)
    before = []
    for checkpoint in folders.list_checkpoints(newest.parent):
        if checkpoint.name in (newest.name, best):
            continue
        if folders.step_of(checkpoint) > step:
            _logger.warning("checkpoint=%s of a later step is deleted", checkpoint)
            _delete(checkpoint)
        else:
            before.append(checkpoint)
    for checkpoint in before[: max(0, len(before) - (keep_last - 1))]:
        _delete(checkpoint)


def sync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _delete(checkpoint: Path) -> None:
    # Renamed first: nobody finds a checkpoint that is half deleted.
    deleted = checkpoint.with_name(f".{checkpoint.name}{_DELETED}")
    checkpoint.rename(deleted)
    shutil.rmtree(deleted)
