# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks exports of checkpoints that a real writer saved."""

import json
from pathlib import Path

import numpy as np
import pytest

from twhin.bin import export_run
from twhin.bin.saved_run import SavedRun
from twhin.bundle.bundle import Bundle
from twhin.config.resolved_config import load_config
from twhin.errors import CheckpointError, ConfigError
from twhin.scoring import Comparator
from twhin.testing import ranking_case, ranking_run
from twhin.testing.command_process import run_python

# build: needs //twhin/bin:export


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run with the checkpoints of steps 3 and 7, each in two parts."""
    ranking_run.begin(tmp_path, "export: {num_shards: 2}")
    for step in (3, 7):
        ranking_run.save(tmp_path, step, seed=step, is_best=step == 3)
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
