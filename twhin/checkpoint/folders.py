# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The folder of a run's checkpoints: what is complete, which one to take.

CHECKPOINTS/step-00001000/           a complete checkpoint
CHECKPOINTS/best                     one line: the name of the best one
CHECKPOINTS/.step-00001000.writing/  what a killed writer may leave
"""

import os
import re
from enum import StrEnum
from pathlib import Path

from twhin.checkpoint.manifest import MANIFEST_FILE
from twhin.errors import CheckpointError

CHECKPOINTS_FOLDER = "checkpoints"
BEST_FILE = "best"

_NAME = re.compile(r"step-(\d{8,})")


class CheckpointChoice(StrEnum):
    """Which checkpoint of a run."""

    NEWEST = "newest"
    BEST = "best"


def folder_name(step: int) -> str:
    """Returns the name of the checkpoint of a step."""
    return f"step-{step:08d}"


def step_of(folder: Path) -> int:
    """Returns the step that a checkpoint's name says.

    Raises:
      ValueError: The name is not a checkpoint's.
    """
    match = _NAME.fullmatch(folder.name)
    if match is None:
        raise ValueError(f"{folder.name!r} is not the name of a checkpoint")
    return int(match[1])


def list_checkpoints(folder: Path) -> list[Path]:
    """Returns the complete checkpoints of a run, the oldest first.

    Args:
      folder: The folder of a run, or its folder of checkpoints; may be missing.
    """
    checkpoints = _checkpoints_folder(folder)
    if not checkpoints.is_dir():
        return []
    found = [
        path
        for path in checkpoints.iterdir()
        if _NAME.fullmatch(path.name) and path.is_dir()
    ]
    return sorted(found, key=step_of)


def find_checkpoint(
    path: Path, *, which: CheckpointChoice = CheckpointChoice.NEWEST
) -> Path:
    """Returns one checkpoint.

    Args:
      path: A checkpoint, which is returned, the folder of a run, or its folder of
        checkpoints.
      which: The newest or the best one of a run.

    Raises:
      CheckpointError: There is none, or none was ever the best.
    """
    if (path / MANIFEST_FILE).is_file():
        return path
    checkpoints = list_checkpoints(path)
    if not checkpoints:
        raise CheckpointError(
            f"{path}: holds no complete checkpoint; allowed: a checkpoint, the folder"
            " of a run, or its folder of checkpoints"
        )
    if which is CheckpointChoice.NEWEST:
        return checkpoints[-1]
    best = read_best(_checkpoints_folder(path))
    for checkpoint in checkpoints:
        if checkpoint.name == best:
            return checkpoint
    raise CheckpointError(
        f"{_checkpoints_folder(path) / BEST_FILE}: names {best!r}; allowed:"
        f" {[checkpoint.name for checkpoint in checkpoints]}, or take the newest"
    )


def read_best(checkpoints: Path) -> str | None:
    """Returns the name of the best checkpoint; None where none was named."""
    try:
        return (checkpoints / BEST_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def write_best(checkpoints: Path, name: str) -> None:
    """Names the best checkpoint."""
    aside = checkpoints / f".{BEST_FILE}"
    with aside.open("w", encoding="utf-8") as stream:
        stream.write(name + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    aside.rename(checkpoints / BEST_FILE)


def _checkpoints_folder(path: Path) -> Path:
    below = path / CHECKPOINTS_FOLDER
    return below if below.is_dir() else path
