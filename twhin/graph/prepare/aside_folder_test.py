# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of writing aside: killed, failed, full and competing writers."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from twhin.errors import DataError
from twhin.graph.prepare.aside_folder import aside_folder
from twhin.testing.prepare_case import USER_TWEET, PrepareCase

TRAIN = "data: {raw: {train: {paths: train.parquet}}}"
PREPARE = """
import sys
from pathlib import Path
from twhin.config.resolved_config import load_config
from twhin.graph.prepare.preparation import prepare

settings = load_config(Path("config.yaml")).settings
print("ready", flush=True)
prepare(settings, "prepared", memory_limit_bytes=1 << 28, num_threads=1)
"""


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    case = PrepareCase(tmp_path)
    case.write_edges(
        "train.parquet", [(f"u{i % 997}", "likes", f"t{i}") for i in range(20000)]
    )
    case.settings(
        USER_TWEET.replace("- {name: follows, lhs: user, rhs: user}", ""), TRAIN
    )
    return case


def start(case: PrepareCase) -> "subprocess.Popen[str]":
    """Starts a preparation in a process of its own, and waits for its imports."""
    process = subprocess.Popen(
        [sys.executable, "-c", PREPARE],
        cwd=case.folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill_while_writing(case: PrepareCase, delay_secs: float) -> None:
    """Starts a preparation and kills it some time after it began to write."""
    aside = case.folder / ".prepared.preparing"
    process = start(case)
    while not aside.exists() and process.poll() is None:
        time.sleep(0.001)
    time.sleep(delay_secs)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_preparation_never_looks_complete(case: PrepareCase) -> None:
    generator = random.Random(0)
    num_killed = 0
    for _ in range(6):
        kill_while_writing(case, generator.uniform(0, 0.2))
        if (case.folder / "prepared").exists():
            assert len(case.edges("train")) == 20000
            shutil.rmtree(case.folder / "prepared")
        else:
            num_killed += 1

    assert start(case).wait() == 0

    assert num_killed > 0
    assert len(case.edges("train")) == 20000
    assert not list(case.folder.glob(".prepared.*"))


def test_a_killed_replacement_leaves_the_earlier_output(case: PrepareCase) -> None:
    assert start(case).wait() == 0
    case.write_edges("train.parquet", [("a", "likes", "t")])

    kill_while_writing(case, 0)

    assert case.graph().manifest is not None


def test_a_failing_body_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with aside_folder(tmp_path / "out") as aside:
            (aside / "half").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert list(tmp_path.iterdir()) == []


def test_only_one_writer_at_a_time(tmp_path: Path) -> None:
    with aside_folder(tmp_path / "out") as aside:
        (aside / "file").write_text("x")
        with (
            pytest.raises(DataError, match="another process prepares it now"),
            aside_folder(tmp_path / "out"),
        ):
            pass

    assert (tmp_path / "out/file").read_text() == "x"


def test_a_target_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")

    with (
        pytest.raises(DataError, match="out: is a file"),
        aside_folder(tmp_path / "out"),
    ):
        pass


def test_a_disk_that_takes_no_more(case: PrepareCase) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, hard))
    try:
        with pytest.raises(DataError, match=r"cannot be (read or )?written"):
            case.prepare(
                USER_TWEET.replace("- {name: follows, lhs: user, rhs: user}", ""), TRAIN
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)

    names = {path.name for path in case.folder.iterdir()}
    assert names == {"config.yaml", "train.parquet"}
