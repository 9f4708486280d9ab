# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the command from the command line."""

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np

from twhin.bin import explore
from twhin.testing.command_process import process_environment, run_python
from twhin.testing.small_bundle import TableForTest, write_bundle_for_test

_MODULE = explore.__name__


def _write_bundle(folder: Path) -> None:
    table = TableForTest(ids=["a", "b", "c"], vectors=np.eye(3, dtype=np.float32))
    write_bundle_for_test(folder, {"user": table})


def test_it_says_where_the_page_is_and_ends_by_an_interrupt(tmp_path: Path) -> None:
    _write_bundle(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", _MODULE, str(tmp_path)],
        env=process_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        name, url = process.stdout.readline().split()
        with urllib.request.urlopen(f"{url}api/describe", timeout=30) as reply:
            found = json.load(reply)

        assert name == "Explore:"
        assert found["entity_types"][0]["num_entities"] == 3
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.communicate()


def test_a_folder_without_a_bundle_is_an_error_of_the_user(tmp_path: Path) -> None:
    done = run_python("-m", _MODULE, str(tmp_path / "nothing"), folder=tmp_path)

    assert done.returncode == 2
    assert "nothing" in done.stderr
    assert "Traceback" not in done.stderr
