# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A whole server, supervisor and workers, for tests.

Run as `python -m twhin.testing.server_process OPTIONS` it serves and prints
its addresses as JSON.
"""

import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from twhin.serving import options
from twhin.serving.options import ServerOptions, WorkerOptions
from twhin.serving.supervisor import Addresses, Supervisor

_START_SECS = 30.0


class ServerForTest:
    """A server in a process of its own; a context manager.

    Attributes:
      process: The supervisor.
      addresses: Where it listens.
    """

    def __init__(self, bundle: Path, **fields: Any) -> None:
        """Takes the fields of `ServerOptions`, with quick defaults."""
        self._options = ServerOptions(
            bundle=bundle, **{"poll_secs": 0.0, "drain_secs": 2.0, **fields}
        )
        # Not a pipe, which would fill up and stop the server.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115

    def __enter__(self) -> "ServerForTest":
        """Starts it, and returns when all workers serve."""
        text = options.to_json(
            WorkerOptions(
                server=self._options,
                index=0,
                shared_port=0,
                own_port=0,
                core=None,
                supervisor=0,
            )
        )
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "twhin.testing.server_process", text],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], _START_SECS)
        line = self.process.stdout.readline() if readable else b""
        if not line:
            self.stop()
            raise AssertionError(f"the server did not start: {self.errors()}")
        fields = json.loads(line)
        fields["worker_ports"] = tuple(fields["worker_ports"])
        self.addresses = Addresses(**fields)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops it."""
        self.stop()

    @property
    def address(self) -> str:
        """The ports of all workers, for a client."""
        ports = self.addresses.worker_ports
        return ",".join(f"127.0.0.1:{port}" for port in ports)

    def worker_pids(self) -> list[int]:
        """Returns the process ids of the workers that there are now."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children]

    def resident_bytes(self) -> int:
        """Returns the memory that workers do not share with each other or a file."""
        total = 0
        for pid in self.worker_pids():
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            sizes = [line.split() for line in lines]
            total += sum(int(s[1]) * 1024 for s in sizes if s[0] == "Private_Dirty:")
        return total

    def stop(self) -> int:
        """Has it drain and end; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_START_SECS)

    def errors(self) -> str:
        """Returns what it and its workers have logged."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode()


def wait_until(condition: Any, timeout_secs: float = 10.0) -> None:
    """Returns when `condition()` holds.

    Raises:
      AssertionError: It does not in time.
    """
    deadline = time.monotonic() + timeout_secs
    while not condition():
        assert time.monotonic() < deadline, "the condition does not hold in time"
        time.sleep(0.02)


def _print(addresses: Addresses) -> None:
    sys.stdout.write(json.dumps(dataclasses.asdict(addresses)) + "\n")
    sys.stdout.flush()


def main(argv: list[str]) -> int:
    """Serves until a signal ends it."""
    server = options.from_json(argv[1]).server
    return Supervisor(server, port=0, metrics_port=0).run(_print)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
