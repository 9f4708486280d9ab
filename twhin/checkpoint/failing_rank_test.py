# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that what fails on one rank is told on all of them."""

import resource
from pathlib import Path

import torch.distributed as dist

from twhin.checkpoint.folders import list_checkpoints
from twhin.checkpoint.load_newest import load_newest
from twhin.checkpoint.training_state import Progress
from twhin.errors import CheckpointError
from twhin.testing.ranks import run_ranks
from twhin.testing.small_state import SCHEMA, Model, make_writer


def _save_with_a_full_disk(folder: Path) -> list[str]:
    """Saves three times; the second time rank 1 cannot write."""
    rank = dist.get_rank()
    writer = make_writer(folder, group=dist.group.WORLD)
    failures = []
    for step, is_full in ((1, False), (2, True), (3, False)):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        if is_full and rank == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        state = Model(step).state("rows", rank, 2)
        try:
            writer.save(state, Progress(step=step), wait=True)
        except CheckpointError as error:
            failures.append(str(error))
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    writer.close()
    return failures


def _save_to_own_disks(folder: Path) -> str:
    """Saves; the ranks do not see the same folder."""
    rank = dist.get_rank()
    own = folder / f"disk{rank}"
    writer = make_writer(own, group=dist.group.WORLD)
    state = Model(1).state("rows", rank, 2)
    try:
        writer.save(state, Progress(step=1), wait=True)
    except CheckpointError as error:
        return str(error)
    finally:
        writer.close()
    return ""


def _load(folder: Path) -> int | None:
    state = Model(9).state("rows", dist.get_rank(), 2)
    progress = load_newest(folder, state, schema=SCHEMA, group=dist.group.WORLD)
    return None if progress is None else progress.step


def _fail(folder: Path) -> tuple[list[str], str]:
    return _save_with_a_full_disk(folder), _save_to_own_disks(folder)


def test_failure_of_one_rank_is_told_on_all(tmp_path: Path) -> None:
    for full_disk, own_disk in run_ranks(_fail, 2, tmp_path):
        (failure,) = full_disk
        assert "step-00000002: cannot be written (rank 1: " in failure
        assert "File too large" in failure
        assert "__1_0.distcp: cannot be read (No such file or directory)" in own_disk

    names = [folder.name for folder in list_checkpoints(tmp_path)]
    assert names == ["step-00000001", "step-00000003"]
    assert list_checkpoints(tmp_path / "disk0") == []


def test_damage_that_one_rank_finds_is_skipped_by_all(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    for step in (1, 2):
        writer.save(Model(step).state(), Progress(step=step), wait=True)
    # Of four files the second is checked by rank 1.
    file = sorted((tmp_path / "step-00000002").iterdir())[1]
    file.write_bytes(b"\0" * file.stat().st_size)

    assert run_ranks(_load, 2, tmp_path) == [1, 1]
