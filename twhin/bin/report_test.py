# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the command from the command line."""

from pathlib import Path

from twhin.bin import report
from twhin.testing.command_process import run_python
from twhin.testing.small_run import write_small_run


def test_report_and_projector_are_written(tmp_path: Path) -> None:
    checkpoint = write_small_run(tmp_path)

    done = run_python(
        "-m", report.__name__, f"--output_dir={tmp_path}", folder=tmp_path
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "tensorboard" / "projector_config.pbtxt").is_file()
    assert str(checkpoint) in done.stdout


def test_a_folder_without_a_run_is_an_error_of_the_user(tmp_path: Path) -> None:
    done = run_python(
        "-m", report.__name__, f"--output_dir={tmp_path}", folder=tmp_path
    )

    assert done.returncode == 2
    assert "no complete checkpoint" in done.stderr
