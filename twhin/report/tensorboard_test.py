# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of what is written for TensorBoard's projector."""

from pathlib import Path

import numpy as np
import pytest

from twhin.report.entity_sample import read_samples
from twhin.report.run_files import open_run
from twhin.report.tensorboard import write_projector
from twhin.testing.small_run import STEP, write_small_run


def test_projector_gets_ids_degrees_and_vectors(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_small_run(tmp_path)
    run = open_run(tmp_path, checkpoint)
    users = read_samples(run.reader, run.graph)["user"]

    write_projector(tmp_path, checkpoint=checkpoint)
    write_projector(tmp_path, checkpoint=checkpoint)

    folder = tmp_path / "tensorboard"
    config = (folder / "projector_config.pbtxt").read_text()
    assert config.count("embeddings {") == 3
    lines = (folder / f"{STEP:05d}" / "user" / "metadata.tsv").read_text().split("\n")
    assert lines[0] == "id\tdegree"
    assert lines[1].endswith(f"\t{users.degrees[0]}")
    vectors = np.loadtxt(folder / f"{STEP:05d}" / "user" / "tensors.tsv")
    np.testing.assert_allclose(vectors, users.vectors, rtol=1e-5)
    assert "warning" not in capfd.readouterr().out
