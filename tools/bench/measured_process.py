# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Runs a command and measures the whole process."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A process that ended with code 0.

    Attributes:
      output: What it printed, both streams.
      wall_secs: From its start to its end.
      peak_resident_bytes: Of the process itself.
    """

    output: str
    wall_secs: float
    peak_resident_bytes: int


def run_measured(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Measured:
    """Runs a command.

    Args:
      command: The program and its arguments.
      environment: Added to this process's.

    Raises:
      SystemExit: The command failed; its output is printed.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.stderr.write(output)
        raise SystemExit(f"{command[0]}: ended with code {process.returncode}")
    return Measured(
        output=output,
        wall_secs=time.perf_counter() - start,
        peak_resident_bytes=usage.ru_maxrss * 1024,
    )
