# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Runs //twhin:train in processes of its own, on a tiny generated graph."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twhin.bin import train
from twhin.checkpoint.folders import find_checkpoint, list_checkpoints
from twhin.checkpoint.reader import CheckpointReader

_TIMEOUT_SECS = 150
_TINY = (
    "data.demo.num_users=300",
    "data.demo.num_tweets=400",
    "data.demo.num_advertisements=20",
    "data.demo.num_edges=4000",
    "model.embedding_dim=8",
    "negatives.num_uniform=10",
    "negatives.chunk_size=50",
    "training.batch_size=100",
    "training.num_epochs=4",
    "training.shuffle_window=1000",
    "training.log_interval_steps=10",
    "evaluation.interval_epochs=0",
    "checkpoint.interval_steps=5",
)


class TrainCommand:
    """A run's folder, and the command that trains into it.

    Attributes:
      folder: OUTPUT_DIR.
    """

    def __init__(
        self,
        folder: Path,
        *,
        num_ranks: int = 1,
        overrides: Sequence[str] = (),
        flags: Sequence[str] = (),
        prefix: Sequence[str] = (),
    ) -> None:
        """Takes what the command line will say; starts nothing.

        Args:
          folder: OUTPUT_DIR.
          num_ranks: Ranks on each node.
          overrides: Of the configuration.
          flags: Other flags.
          prefix: The command line behind which it runs, such as that of a host.
        """
        self.folder = folder
        self._command = [
            *prefix,
            sys.executable,
            "-m",
            train.__name__,
            f"--output_dir={folder}",
            f"--nproc_per_node={num_ranks}",
            *(f"--override={override}" for override in (*_TINY, *overrides)),
            *flags,
        ]

    def start(self) -> subprocess.Popen[str]:
        """Starts the command in a process group of its own."""
        return subprocess.Popen(
            self._command,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "OMP_NUM_THREADS": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self) -> str:
        """Runs the command to its end; returns what it printed."""
        process = self.start()
        output, _ = process.communicate(timeout=_TIMEOUT_SECS)
        assert process.returncode == 0, output
        return output

    def wait_for_step(self, step: int) -> None:
        """Returns when a checkpoint of this step or a later one is there."""
        self._wait(lambda: self.newest_step() >= step)

    def newest_step(self) -> int:
        """Returns the step of the newest checkpoint, 0 without any."""
        found = list_checkpoints(self.folder)
        return int(found[-1].name.partition("-")[2]) if found else 0

    def digest(self) -> str:
        """Returns a digest of the newest checkpoint's tables and relations."""
        reader = CheckpointReader(find_checkpoint(self.folder))
        digest = hashlib.sha256()
        for entity_type in reader.schema.entity_types:
            name, rows = entity_type.name, entity_type.num_entities
            digest.update(reader.read_rows(name, 0, rows).numpy().tobytes())
            for state in reader.state_names(name):
                digest.update(reader.read_state(name, state, 0, rows).numpy().tobytes())
        for name, parameters in sorted(reader.relation_parameters().items()):
            digest.update(name.encode() + parameters.numpy().tobytes())
        return digest.hexdigest()

    def metrics(self) -> dict[str, Any]:
        """Returns the content of metrics.json."""
        content: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text())
        return content

    def _wait(self, is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _TIMEOUT_SECS
        while not is_done():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def kill_group(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> int:
    """Sends a signal to a command and its ranks; returns the exit code."""
    os.killpg(process.pid, number)
    process.communicate(timeout=_TIMEOUT_SECS)
    return process.returncode


def rank_processes(process: subprocess.Popen[str]) -> list[int]:
    """Returns the processes of a launcher's ranks."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(
                line.split(":\t", 1) for line in status.read_text().splitlines()
            )
        except OSError:
            continue  # It has ended meanwhile.
        if int(fields["PPid"]) == process.pid:
            found.append(int(status.parent.name))
    return sorted(found)
