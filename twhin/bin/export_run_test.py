# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks exports of checkpoints that a real writer saved."""

import json
from pathlib import Path

import numpy as np
import pytest

from twhin.bin import export_run
from twhin.bin.saved_run import SavedRun
from twhin.bundle.bundle import Bundle
from twhin.checkpoint.table_part import TablePart
from twhin.checkpoint.training_state import Progress, TrainingState
from twhin.checkpoint.writer import CheckpointWriter
from twhin.config.resolved_config import load_config
from twhin.errors import CheckpointError, ConfigError
from twhin.scoring import Comparator
from twhin.testing import ranking_case
from twhin.testing.command_process import run_python
from twhin.testing.ranking_case import SCHEMA

# build: needs //twhin/bin:export

_CONFIG = """
graph:
  entity_types: [{name: user, num_entities: 7}, {name: item, num_entities: 11}]
  relations:
    - {name: likes, lhs: user, rhs: item}
    - {name: follows, lhs: user, rhs: user}
    - {name: views, lhs: user, rhs: item}
data:
  encoded: {train: train.parquet, valid: valid.parquet, test: test.parquet}
model: {embedding_dim: 4, comparator: negative_l2, reciprocal: true}
export: {num_shards: 2}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run with the checkpoints of steps 3 and 7, each in two parts."""
    (tmp_path / "run.yaml").write_text(_CONFIG)
    ranking_case.write_random_graph(tmp_path)
    config = load_config(tmp_path / "run.yaml")
    writer = CheckpointWriter(
        tmp_path / "checkpoints",
        schema=SCHEMA,
        embedding_dim=4,
        config_text=config.text,
        config_digest=config.digest,
        keep_last=5,
        group=None,
    )
    model = ranking_case.random_model(Comparator.NEGATIVE_L2)
    for step in (3, 7):
        state = TrainingState(
            tables={
                name: [
                    TablePart(start=0, rows=rows[:5], state={}),
                    TablePart(start=5, rows=rows[5:], state={}),
                ]
                for name, rows in ranking_case.random_tables(seed=step).items()
            },
            relations={
                name: parameters.detach()
                for name, parameters in model.parameters_by_name.items()
            },
            relation_optimizer={},
        )
        writer.save(state, Progress(step=step), is_best=step == 3, wait=True)
    writer.close()
    return tmp_path


def _assert_has_tables(bundle: Bundle, seed: int) -> None:
    bundle.verify()
    assert bundle.manifest.step == seed
    for name, rows in ranking_case.random_tables(seed=seed).items():
        found = bundle.find(name, np.arange(len(rows)))
        assert (bundle.vectors(name, found) == rows.numpy()).all()


def test_the_newest_checkpoint_is_exported(folder: Path) -> None:
    metrics = {"step": 7, "config_digest": "c0ffee", "test/mrr": 0.5}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    run = SavedRun(folder)
    root = export_run.bundle_root(run)

    version = export_run.export(run, root, ["parquet"])

    bundle = Bundle.open(root)
    assert root == folder / "bundle"
    assert version == bundle.version == "v000001"
    _assert_has_tables(bundle, 7)
    assert bundle.num_shards == 2
    assert dict(bundle.manifest.metrics) == {"test/mrr": 0.5}
    assert bundle.manifest.config_digest == load_config(folder / "run.yaml").digest
    assert (bundle.folder / "parquet" / "user.parquet").exists()
    parameters = ranking_case.random_model(Comparator.NEGATIVE_L2).parameters_by_name
    expected = parameters["translation_reciprocal"][2].tolist()
    reciprocal = bundle.relations["views"].reciprocal_parameters
    assert reciprocal is not None
    assert reciprocal.tolist() == expected


def test_a_named_checkpoint_is_exported_without_metrics_of_others(folder: Path) -> None:
    (folder / "metrics.json").write_text('{"step": 7, "test/mrr": 0.5}')
    overrides = ["export.num_shards=1", "export.bundle_root=served"]

    run = SavedRun(folder, overrides=overrides, checkpoint="best")
    export_run.export(run, export_run.bundle_root(run), [])

    bundle = Bundle.open(folder / "served")
    _assert_has_tables(bundle, 3)
    assert bundle.num_shards == 1
    assert dict(bundle.manifest.metrics) == {}


def test_another_model_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="checkpoints of another configuration"):
        SavedRun(folder, overrides=["model.comparator=dot"])
    with pytest.raises(CheckpointError, match="holds no complete checkpoint"):
        SavedRun(folder / "absent")


def test_field_that_a_saved_configuration_lacks_has_its_default(folder: Path) -> None:
    for saved in folder.rglob("config.yaml"):
        text = saved.read_text()
        assert "  dura: 0.0\n" in text
        saved.write_text(text.replace("  dura: 0.0\n", ""))

    assert SavedRun(folder).config.settings.loss.dura == 0.0


def test_ranks_of_the_command_write_one_bundle(folder: Path) -> None:
    done = run_python(
        "-m",
        "twhin.bin.export",
        f"--output_dir={folder}",
        "--nproc_per_node=2",
        folder=folder,
    )

    assert done.returncode == 0, done.stderr
    assert f"Bundle:      {folder / 'bundle'} (version v000001)" in done.stdout
    _assert_has_tables(Bundle.open(folder / "bundle"), 7)
