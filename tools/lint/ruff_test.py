# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Runs ruff, linter and formatter, over the work tree."""

import subprocess
import sys

import pytest

from tools.lint import workspace

# build: needs //third_party/python:ruff


@pytest.mark.parametrize("command", [["check"], ["format", "--check", "--diff"]])
def test_ruff_finds_nothing(command: list[str]) -> None:
    paths = [str(path) for path in workspace.python_files()]

    result = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", *paths],
        cwd=workspace.root(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert len(paths) > 0
    assert result.returncode == 0, result.stdout + result.stderr
