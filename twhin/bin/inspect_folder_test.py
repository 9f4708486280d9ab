# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks what each kind of folder is told to hold."""

from pathlib import Path

import numpy as np
import pytest
import torch

from twhin.bin import inspect_folder
from twhin.checkpoint.table_part import TablePart
from twhin.checkpoint.training_state import Progress, TrainingState
from twhin.checkpoint.writer import CheckpointWriter
from twhin.errors import DataError
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema
from twhin.scoring import Operator
from twhin.testing.prepare_case import USER_TWEET, PrepareCase
from twhin.testing.small_bundle import (
    RelationForTest,
    TableForTest,
    write_bundle_for_test,
)


def inspect(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """Returns the words of each line that is printed about a folder."""
    inspect_folder.main([str(folder)])
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def prepare(folder: Path) -> None:
    case = PrepareCase(folder)
    case.write_edges("train.parquet", [("ann", "likes", "t1"), ("bob", "likes", "t1")])
    case.prepare(USER_TWEET, "data: {raw: {train: {paths: train.parquet}}}")


def save_checkpoint(folder: Path) -> None:
    state = {"sum": torch.zeros(3)}
    part = TablePart(start=0, rows=torch.zeros(3, 4), state=state)
    writer = CheckpointWriter(
        folder,
        schema=GraphSchema(
            entity_types=(EntityTypeSchema(name="user", num_entities=3),),
            relations=(RelationSchema(name="follows", lhs="user", rhs="user"),),
        ),
        embedding_dim=4,
        config_text="graph: {}",
        config_digest="0123456789abcdef",
        keep_last=2,
        group=None,
    )
    saved = TrainingState(
        tables={"user": [part]},
        relations={"translation": torch.zeros(1, 4)},
        relation_optimizer={},
    )
    for step in (10, 20):
        writer.save(saved, Progress(step=step, epoch=1), wait=True)
    writer.close()


def write_bundle(folder: Path) -> None:
    vectors = np.eye(3, 4, dtype=np.float32)
    write_bundle_for_test(
        folder,
        {"user": TableForTest(ids=["ann", "bob", "cal"], vectors=vectors)},
        [
            RelationForTest(
                name="follows",
                lhs="user",
                rhs="user",
                operator=Operator.TRANSLATION,
                parameters=np.ones(4, dtype=np.float32),
            )
        ],
    )


def test_prepared_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(tmp_path)

    lines = inspect(tmp_path / "prepared", capsys)

    assert ["train", "2", "1"] in [line[:3] for line in lines]


def test_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(tmp_path)

    lines = inspect(tmp_path / "step-00000020", capsys)

    assert ["step", "20"] in lines
    assert ["user", "3", "float32", "sum", "20"] in lines  # 4 numbers and 1, of 4 bytes
    assert ["parameters", "translation", "1x4"] in lines


def test_bundle_and_its_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(tmp_path)

    root = inspect(tmp_path, capsys)

    assert ["version", "v000001"] in root
    assert ["user", "3", "float32", "16.00", "string"] in [line[:5] for line in root]
    assert ["follows", "user", "user", "translation", "no"] in root
    assert inspect(tmp_path / "v000001", capsys) == root


def test_folder_of_a_run_shows_the_newest_of_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(tmp_path)
    save_checkpoint(tmp_path / "checkpoints")
    write_bundle(tmp_path / "bundle")

    lines = inspect(tmp_path, capsys)

    titles = [line[:-1] for line in lines if line and line[-1].startswith("/")]
    assert titles == [["prepared", "graph"], ["checkpoint"], ["bundle"]]
    assert ["step", "20"] in lines


def test_other_folders_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="nothing that is known; allowed: a prepared gr"
    ):
        inspect_folder.main([str(tmp_path)])
