# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""One trial: training in a process of its own, judged by its metrics."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from twhin.errors import TwhinError

METRICS_FILE = "metrics.json"
LOG_FILE = "train.log"
_TERMINATE_SECS = 120.0


class TrialError(TwhinError):
    """A trial that gave no result; the search goes on."""


class TrialProcess:
    """The command that trains, and the metric that it is judged by."""

    def __init__(self, command: Sequence[str], *, metric: str) -> None:
        """Takes the command.

        Args:
          command: The program and its arguments; `--override` and `--output_dir`
            are added for each trial.
          metric: The name in the run's metrics.json; larger is better.
        """
        self._command = list(command)
        self._metric = metric

    def run(
        self, folder: Path, overrides: Sequence[str], *, kept_files: Sequence[int] = ()
    ) -> float:
        """Trains into a folder and returns the metric.

        What the process writes goes to the folder's train.log. A trial that was
        interrupted goes on from its checkpoint.

        Args:
          folder: The folder of the trial's run.
          overrides: The fields that the trial sets.
          kept_files: File descriptors that stay open in the process.

        Raises:
          TrialError: The process failed, or there is no such metric.
        """
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / LOG_FILE
        flags = [f"--override={override}" for override in overrides]
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*self._command, *flags, f"--output_dir={folder}"],
                # The same modules, also below Bazel.
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=kept_files,
            )
            code = _wait(process)
        if code != 0:
            raise TrialError(
                f"{log}: training ended with code {code}; {_last_line(log)}"
            )
        return self._read_metric(folder / METRICS_FILE)

    def _read_metric(self, path: Path) -> float:
        try:
            metrics = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as err:
            raise TrialError(f"{path}: no metrics: {err}") from err
        value = metrics.get(self._metric)
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise TrialError(
                f"{path}: {self._metric!r} is {value!r}; a number is needed"
            )
        return float(value)


def _wait(process: "subprocess.Popen[bytes]") -> int:
    """Waits; whatever ends the search also ends the process, which saves its state."""
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(_TERMINATE_SECS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")
