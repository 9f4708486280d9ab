# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks saving: what is saved, when, and what stays after a failure."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from twhin.checkpoint import folders, save_planner
from twhin.checkpoint.load_newest import load_newest
from twhin.checkpoint.reader import CheckpointReader
from twhin.checkpoint.training_state import Progress
from twhin.checkpoint.writer import CheckpointWriter
from twhin.errors import CheckpointError
from twhin.testing.small_state import (
    SCHEMA,
    Model,
    assert_equal_bits,
    make_writer,
    save_steps,
)

CURSOR = {"epoch": 1, "num_rows": 9, "window_start": 3, "stages": [[2, 5, 1]]}


def test_load_gives_every_bit_and_the_progress_back(tmp_path: Path) -> None:
    progress = Progress(
        step=7,
        epoch=1,
        cursor=CURSOR,
        best_metric=0.1 + 0.2,
        num_bad_evaluations=2,
        plateau_factor=1 / 3,
        plateau_length=1,
    )
    writer = make_writer(tmp_path)
    writer.save(Model(1).state(), progress)
    writer.close()
    model = Model(2)

    assert load_newest(tmp_path, model.state(), schema=SCHEMA, group=None) == progress

    assert_equal_bits(model.tensors(), Model(1).tensors())
    adam = torch.optim.Adam(model.relations.values())
    adam.load_state_dict(model.optimizer)
    assert adam.state_dict()["state"][0]["step"] == 1


@pytest.mark.parametrize("wait", [False, True])
def test_state_is_that_of_the_call(tmp_path: Path, wait: bool) -> None:
    model = Model(1)
    writer = make_writer(tmp_path)

    writer.save(model.state(), Progress(step=1, epoch=0), wait=wait)
    for values in model.tensors().values():
        values.detach().zero_()
    writer.close()

    loaded = Model(2)
    load_newest(tmp_path, loaded.state(), schema=SCHEMA, group=None)
    assert_equal_bits(loaded.tensors(), Model(1).tensors())


def test_large_part_is_written_in_pieces_before_the_call_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(save_planner, "MAX_PIECE_BYTES", 64)
    writer = make_writer(tmp_path)
    monkeypatch.setattr(writer, "_max_staging_bytes", 100)

    writer.save(Model(1).state(), Progress(step=1, epoch=0))

    (folder,) = folders.list_checkpoints(tmp_path)
    reader = CheckpointReader(folder)
    # 64 bytes are two rows of float32.
    chunks = reader._tensors._tensor("tables/user/weight").chunks
    assert [tuple(chunk.sizes) for chunk in chunks] == [(2, 8)] * 5 + [(1, 8)]
    assert torch.equal(reader.read_rows("user", 0, 11), Model(1).weights["user"])


def test_newest_and_best_are_kept(tmp_path: Path) -> None:
    writer = make_writer(tmp_path, keep_last=2)
    for step in range(1, 6):
        writer.save(
            Model(step).state(), Progress(step=step, epoch=0), is_best=step == 2
        )
    writer.close()

    assert [folders.step_of(f) for f in folders.list_checkpoints(tmp_path)] == [2, 4, 5]
    best = folders.find_checkpoint(tmp_path, which=folders.CheckpointChoice.BEST)
    assert folders.step_of(best) == 2
    newest = folders.find_checkpoint(tmp_path)
    assert folders.step_of(newest) == 5


def test_new_best_lets_the_old_one_go(tmp_path: Path) -> None:
    writer = make_writer(tmp_path, keep_last=1)
    for step in range(1, 4):
        writer.save(Model(step).state(), Progress(step=step, epoch=0), is_best=step < 3)
    writer.close()

    assert [folders.step_of(f) for f in folders.list_checkpoints(tmp_path)] == [2, 3]


def test_same_step_is_replaced(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    for seed in (1, 2):
        writer.save(Model(seed).state(), Progress(step=5, epoch=0), wait=True)

    (folder,) = folders.list_checkpoints(tmp_path)
    rows = CheckpointReader(folder).read_rows("user", 0, 11)
    assert torch.equal(rows, Model(2).weights["user"])
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]


def test_checkpoints_after_the_saved_step_go(tmp_path: Path) -> None:
    save_steps(tmp_path, 10, 20, 30)

    save_steps(tmp_path, 15)

    assert [folders.step_of(f) for f in folders.list_checkpoints(tmp_path)] == [10, 15]


def test_what_a_killed_writer_left_goes(tmp_path: Path) -> None:
    save_steps(tmp_path, 1, 2)
    (tmp_path / ".step-00000003.writing").mkdir()
    (tmp_path / ".step-00000003.writing" / "__0_0.distcp").write_bytes(b"half")
    (tmp_path / "step-00000002").rename(tmp_path / ".step-00000002.replaced")

    make_writer(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-00000001",
        "step-00000002",
    ]


@pytest.fixture
def _file_limit() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def save_and_notice(writer: CheckpointWriter, wait: bool) -> None:
    """Saves step 2; where it is not waited for, the next call tells of a failure."""
    for _ in range(1 if wait else 2):
        writer.save(Model(2).state(), Progress(step=2, epoch=0), wait=wait)


@pytest.mark.usefixtures("_file_limit")
@pytest.mark.parametrize("limit", [0, 100, 1000, 4000])
@pytest.mark.parametrize("wait", [False, True])
def test_full_disk_leaves_the_one_before_good(
    tmp_path: Path, limit: int, wait: bool
) -> None:
    save_steps(tmp_path, 1)
    writer = make_writer(tmp_path)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    with pytest.raises(
        CheckpointError, match=r"step-00000002: cannot .*too large.*good"
    ):
        save_and_notice(writer, wait)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    loaded = Model(9)
    load_newest(tmp_path, loaded.state(), schema=SCHEMA, group=None)
    assert_equal_bits(loaded.tensors(), Model(1).tensors())
    # And the writer goes on when there is space again.
    writer.save(Model(3).state(), Progress(step=3, epoch=0), wait=True)
    assert [folders.step_of(f) for f in folders.list_checkpoints(tmp_path)] == [1, 3]


def test_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    writer = make_writer(tmp_path / "file" / "checkpoints")

    with pytest.raises(CheckpointError, match="cannot be written"):
        writer.save(Model(1).state(), Progress(step=1, epoch=0), wait=True)
