# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks reading: ranges, what is refused, and damage."""

import dataclasses
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint import state_dict_loader

from twhin.checkpoint import folders
from twhin.checkpoint.folders import CheckpointChoice
from twhin.checkpoint.load_newest import load_newest
from twhin.checkpoint.reader import CheckpointReader
from twhin.checkpoint.table_part import TablePart
from twhin.checkpoint.training_state import TrainingState
from twhin.errors import CheckpointError
from twhin.graph.schema import EntityTypeSchema, RelationSchema
from twhin.testing.small_state import (
    SCHEMA,
    Model,
    assert_equal_bits,
    save_steps,
)


def test_content_is_read_without_a_process_group(tmp_path: Path) -> None:
    save_steps(tmp_path, 4)
    model = Model(4)

    reader = CheckpointReader(folders.find_checkpoint(tmp_path))

    assert reader.schema == SCHEMA
    assert (reader.step, reader.embedding_dim, reader.world_size) == (4, 8, 1)
    assert reader.config_text == "training: {seed: 1}\n"
    assert reader.config_digest == "c0ffee"
    assert (reader.graph_digest, reader.prepared) == ("9a9a", "/data/prepared")
    assert reader.state_names("user") == ("exp_avg", "sum")
    assert reader.state_names("topic") == ()
    assert torch.equal(reader.read_rows("user", 3, 8), model.weights["user"][3:8])
    assert torch.equal(reader.read_rows("tweet", 0, 6), model.weights["tweet"])
    assert reader.read_rows("user", 5, 5).shape == (0, 8)
    sums = reader.read_state("user", "sum", 9, 11)
    assert torch.equal(sums, model.states["user"]["sum"][9:])
    assert torch.equal(
        reader.relation_parameters()["translation"], model.relations["translation"]
    )
    assert reader.relation_optimizer()["param_groups"][0]["lr"] == 1e-3


def test_torch_reads_the_folder_too(tmp_path: Path) -> None:
    save_steps(tmp_path, 4)
    tensors = {"tables/user/weight": torch.empty(11, 8)}

    state_dict_loader.load(
        tensors, checkpoint_id=folders.find_checkpoint(tmp_path), no_dist=True
    )

    assert torch.equal(tensors["tables/user/weight"], Model(4).weights["user"])


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda reader: reader.read_rows("user", 5, 12), "ends at"),
        (lambda reader: reader.read_rows("user", -1, 2), "rows -1 to 2"),
        (
            lambda reader: reader.read_rows("video", 0, 1),
            "holds no 'tables/video/weight'",
        ),
        (lambda reader: reader.read_state("topic", "sum", 0, 1), "holds no"),
    ],
)
def test_rows_that_are_not_there_are_refused(
    tmp_path: Path, read: Callable[[CheckpointReader], object], message: str
) -> None:
    save_steps(tmp_path, 1)
    reader = CheckpointReader(folders.find_checkpoint(tmp_path))

    with pytest.raises(CheckpointError, match=message):
        read(reader)


def _with_tweet_state(state: TrainingState, part: TablePart) -> TrainingState:
    return dataclasses.replace(state, tables={"tweet": [part]})


def test_other_models_are_refused_and_left_alone(tmp_path: Path) -> None:
    save_steps(tmp_path, 1)
    reader = CheckpointReader(folders.find_checkpoint(tmp_path))
    model = Model(2)
    state = model.state()
    (tweet,) = state.tables["tweet"]
    more_users = dataclasses.replace(
        SCHEMA,
        entity_types=(
            EntityTypeSchema(name="user", num_entities=12),
            *SCHEMA.entity_types[1:],
        ),
    )
    more_relations = dataclasses.replace(
        SCHEMA,
        relations=(*SCHEMA.relations, RelationSchema(name="x", lhs="user", rhs="user")),
    )
    no_state = dataclasses.replace(tweet, state={})
    other_dtype = dataclasses.replace(tweet, rows=tweet.rows.float())
    other_form = dataclasses.replace(tweet, state={"sum": torch.zeros(6, 8)})
    other_relations = dataclasses.replace(
        state, relations={"translation": torch.zeros(2, 8)}
    )

    for other_schema, other_state, message in (
        (more_users, state, "the graph has .*'user': 12"),
        (more_relations, state, "the graph has .*'x'"),
        (SCHEMA, _with_tweet_state(state, no_state), "has the states .*'sum'"),
        (
            SCHEMA,
            _with_tweet_state(state, other_dtype),
            "is torch.float16; the model's",
        ),
        (SCHEMA, _with_tweet_state(state, other_form), "has 2 dimensions"),
        (SCHEMA, other_relations, "relation parameters"),
    ):
        with pytest.raises(CheckpointError, match=message):
            reader.load_into(other_state, schema=other_schema)
    assert_equal_bits(model.tensors(), Model(2).tensors())


def test_checkpoint_of_another_graph_is_refused(tmp_path: Path) -> None:
    save_steps(tmp_path, 1)

    with pytest.raises(
        CheckpointError, match="was trained on the prepared graph '9a9a'"
    ):
        load_newest(
            tmp_path, Model(1).state(), schema=SCHEMA, group=None, graph_digest="0"
        )


def _flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)


def _truncate(path: Path, place: int) -> None:
    path.write_bytes(path.read_bytes()[: place // 8])


@pytest.mark.parametrize("damage", [_flip, _truncate])
def test_damage_anywhere_is_detected(
    tmp_path: Path, damage: Callable[[Path, int], None]
) -> None:
    save_steps(tmp_path, 1)
    (folder,) = folders.list_checkpoints(tmp_path)
    files = sorted(folder.iterdir())
    assert len(files) == 4
    generator = random.Random(3)

    for number in range(50):
        copied = tmp_path / "copy"
        shutil.copytree(folder, copied)
        path = copied / files[number % len(files)].name
        damage(path, generator.randrange(8 * path.stat().st_size))
        with pytest.raises(CheckpointError, match=f"copy/{path.name}"):
            CheckpointReader(copied)
        shutil.rmtree(copied)


def test_missing_file_is_detected(tmp_path: Path) -> None:
    save_steps(tmp_path, 1)
    (folder,) = folders.list_checkpoints(tmp_path)

    for path in folder.iterdir():
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(CheckpointError, match="No such file"):
            CheckpointReader(folder, verify=False)
        path.write_bytes(content)


def test_damaged_piece_is_an_error_without_verification(tmp_path: Path) -> None:
    save_steps(tmp_path, 1)
    (folder,) = folders.list_checkpoints(tmp_path)
    path = folder / "__0_0.distcp"
    path.write_bytes(b"\0" * path.stat().st_size)
    reader = CheckpointReader(folder, verify=False)

    with pytest.raises(CheckpointError, match=r"__0_0.distcp: 'tables/user/weight'"):
        reader.read_rows("user", 0, 1)


def test_damaged_newest_is_skipped_loudly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_steps(tmp_path, 1, 2, 3)
    _flip(tmp_path / "step-00000003" / "__0_0.distcp", 999)
    _truncate(tmp_path / "step-00000002" / ".metadata", 80)
    model = Model(9)

    progress = load_newest(tmp_path, model.state(), schema=SCHEMA, group=None)

    assert progress is not None
    assert progress.step == 1
    assert_equal_bits(model.tensors(), Model(1).tensors())
    first, second = [r.message for r in caplog.records if r.levelname == "ERROR"]
    assert "step-00000003/__0_0.distcp: damaged" in first
    assert "step-00000002/.metadata: has 10 bytes" in second


def test_nothing_good_is_an_error_and_nothing_at_all_is_none(tmp_path: Path) -> None:
    model = Model(9)
    assert load_newest(tmp_path, model.state(), schema=SCHEMA, group=None) is None
    save_steps(tmp_path, 1)
    _flip(tmp_path / "step-00000001" / "checkpoint.json", 99)

    with pytest.raises(CheckpointError, match="all 1 checkpoints are damaged"):
        load_newest(tmp_path, model.state(), schema=SCHEMA, group=None)
    assert_equal_bits(model.tensors(), Model(9).tensors())


def test_checkpoint_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    save_steps(tmp_path, 1)
    path = tmp_path / "step-00000001" / "checkpoint.json"
    text = path.read_text().replace('"format_version": 1', '"format_version": 2')
    path.write_text(text)

    with pytest.raises(CheckpointError, match="digest"):
        CheckpointReader(path.parent)


def test_run_and_its_folder_and_one_checkpoint_are_found(tmp_path: Path) -> None:
    save_steps(tmp_path / "checkpoints", 1, 2)
    newest = tmp_path / "checkpoints" / "step-00000002"

    assert folders.find_checkpoint(tmp_path) == newest
    assert folders.find_checkpoint(tmp_path / "checkpoints") == newest
    assert folders.find_checkpoint(newest) == newest
    with pytest.raises(CheckpointError, match="names None"):
        folders.find_checkpoint(tmp_path, which=CheckpointChoice.BEST)
    with pytest.raises(CheckpointError, match="no complete checkpoint"):
        folders.find_checkpoint(tmp_path / "elsewhere")
