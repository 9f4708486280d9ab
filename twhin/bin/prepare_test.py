# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Runs //twhin:prepare in a process: its output, its errors and its flags."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from twhin.testing.command_process import run_python
from twhin.testing.prepare_case import USER_TWEET, PrepareCase

# build: needs //twhin/bin:prepare

TRAIN = "data: {raw: {train: {paths: train.parquet}}}"


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    case = PrepareCase(tmp_path)
    likes = [(f"u{i % 30}", "likes", f"t{i}") for i in range(300)]
    case.write_edges("train.parquet", [*likes, ("u1", "follows", "u2")])
    case.settings(USER_TWEET, TRAIN)  # Writes config.yaml.
    return case


def run(
    case: PrepareCase, *flags: str, path: str | None = None
) -> "subprocess.CompletedProcess[str]":
    return run_python(
        *("-m", "twhin.bin.prepare", "--config=config.yaml", "--output_dir=run"),
        *("--memory_limit=200MB", "--num_threads=1", *flags),
        folder=case.folder,
        environment={} if path is None else {"PATH": path},
    )


def test_prepares_and_reports(case: PrepareCase) -> None:
    done = run(case)

    assert done.returncode == 0, done.stderr
    assert "prepare step='vocabulary of user'" in done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["train", "301", "1"] in [line[:3] for line in lines]
    assert ["likes", "user", "tweet", "300", "0", "0"] in lines
    assert len(case.edges("train", "run/prepared")) == 301


def test_second_run_finds_it_current(case: PrepareCase) -> None:
    first = run(case)
    written = (case.folder / "run/prepared/manifest.json").stat().st_ino

    second = run(case)

    assert second.stdout == first.stdout
    assert "prepared graph is current" in second.stderr
    assert (case.folder / "run/prepared/manifest.json").stat().st_ino == written


def test_overrides_and_data_root_shape_the_graph(case: PrepareCase) -> None:
    (case.folder / "raw").mkdir()
    (case.folder / "train.parquet").rename(case.folder / "raw" / "train.parquet")

    done = run(case, "--data_root=raw", "--override=data.raw.holdout.test_fraction=0.2")

    assert done.returncode == 0, done.stderr
    manifest = json.loads((case.folder / "run/prepared/manifest.json").read_text())
    assert 30 < manifest["splits"]["test"]["num_input_edges"] < 100
    assert manifest["inputs"][0]["path"] == "train.parquet"


def test_dry_run_prints_and_writes_nothing(case: PrepareCase) -> None:
    done = run(case, "--dry_run")

    assert done.returncode == 0, done.stderr
    assert "training memory of all ranks" in done.stdout
    assert list((case.folder / "run").iterdir()) == []


def test_demo_is_generated_and_prepared(tmp_path: Path) -> None:
    command = ("-m", "twhin.bin.prepare", "--output_dir=run")
    small = "--override=data.demo={num_users: 100, num_tweets: 100, num_edges: 1000}"

    dry = run_python(*command, small, "--dry_run", folder=tmp_path)
    left = list((tmp_path / "run").iterdir())
    done = run_python(*command, small, folder=tmp_path)

    assert "training memory of all ranks" in dry.stdout, dry.stderr
    assert left == []
    assert "advertisement" in done.stdout, done.stderr
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"demo", "prepared"}


def test_error_is_one_line_and_leaves_nothing(case: PrepareCase) -> None:
    case.write_parquet(
        "train.parquet", lhs=["a", None], rel=["likes"] * 2, rhs=["t"] * 2
    )

    done = run(case)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"{case.folder}/train.parquet: row 1, column 'lhs' is null; allowed: no null"
    )
    assert "Traceback" not in done.stderr
    assert list((case.folder / "run").iterdir()) == []


def test_configuration_without_raw_edges_is_an_error(case: PrepareCase) -> None:
    case.settings(USER_TWEET, "data: {prepared: elsewhere}")

    done = run(case)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "data.raw: missing; allowed: sources of raw edges"
    )


def test_spark_that_is_not_there_is_one_clear_sentence(case: PrepareCase) -> None:
    # Neither Java nor, in most installations, pyspark: the first that lacks is told.
    done = run(case, "--engine=spark", path=os.devnull)

    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("--engine: 'spark' needs ")
    assert last.endswith("--engine=duckdb")
    assert "Traceback" not in done.stderr
