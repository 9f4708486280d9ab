# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Client processes of one case of the serving benchmark."""

# build: needs //tools/bench:serve_client

import json
import os
import subprocess
import sys
from types import TracebackType
from typing import Any

import numpy as np


class ClientProcesses:
    """Client processes that make the same kind of request; a context manager."""

    def __init__(self, num_processes: int, **spec: Any) -> None:
        """Starts them; see `serve_client` for the fields."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tools.bench.serve_client", json.dumps(spec)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(num_processes)
        ]
        for process in self._processes:
            _read(process)

    def __enter__(self) -> "ClientProcesses":
        """Returns self."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends them."""
        for process in self._processes:
            process.communicate()

    def run(self, secs: float, rate: float = 0.0) -> dict[str, float]:
        """Has all of them make requests at once.

        Args:
          secs: For how long.
          rate: Requests per second of all together; 0 for as many as they can.

        Returns:
          "rate", and "p50" and "p99" in seconds, of the slowest process.
        """
        each = rate / len(self._processes)
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{secs} {each}\n")
            process.stdin.flush()
        results = [json.loads(_read(process)) for process in self._processes]
        return {
            "rate": sum(result["count"] / result["secs"] for result in results),
            "p50": max(result["p50"] for result in results),
            "p99": max(result["p99"] for result in results),
        }


def alternate(
    cases: dict[str, ClientProcesses], *, num_rounds: int, secs: float
) -> dict[str, float]:
    """Returns the median rate of each case, measured in turns."""
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(num_rounds):
        for name, clients in cases.items():
            rates[name].append(clients.run(secs)["rate"])
    return {name: float(np.median(found)) for name, found in rates.items()}


def _read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a client process of the benchmark has ended")
    return line
