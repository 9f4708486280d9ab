# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Starts commands in processes of their own, for tests."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

TIMEOUT_SECS = 200


def run_python(
    *arguments: str, folder: Path, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs this Python with the same modules and waits for its end.

    Args:
      *arguments: Of the interpreter: "-m", "twhin.bin.train", "--help".
      folder: The working directory.
      environment: More variables.
    """
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=process_environment() | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECS,
        check=False,
    )


def process_environment() -> dict[str, str]:
    """Returns the environment in which a process finds the modules of this one."""
    paths = [path or os.getcwd() for path in sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("BUILD_WORKING_DIRECTORY", None)
    return environment
