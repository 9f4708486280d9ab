# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Starts one worker per core by exec, and starts again one that ends.

gRPC does not support forking a process that uses it, so the supervisor never
touches gRPC. SIGTERM and SIGINT drain and stop all workers; SIGHUP makes them
look for a new version at once.
"""

# build: needs //twhin/serving:worker

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from twhin.serving import metrics, options
from twhin.serving.options import ServerOptions, WorkerOptions
from twhin.serving.reserved_port import ReservedPort

_LOG = logging.getLogger(__name__)
_POLL_SECS = 0.02
_STABLE_SECS = 5.0
_MAX_BACKOFF_SECS = 5.0
# gRPC's event engine reads in threads of its own, which hand on what they read:
# without it a request takes a tenth less processor time.
_GRPC_EXPERIMENTS = "-event_engine_client,-event_engine_listener"
# A worker that cannot serve the bundle ends with this code; it is not restarted
# before the server has been up.
EXIT_UNUSABLE = 2


@dataclass(slots=True, kw_only=True)
class _Worker:
    options: WorkerOptions
    process: subprocess.Popen[bytes]
    start_time: float
    ready: bool = False
    restart_time: float | None = None
    failures: int = field(default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a server listens: the shared port, each worker's own, metrics."""

    port: int
    worker_ports: tuple[int, ...]
    metrics_port: int


class Supervisor:
    """Runs the workers of one server until it is told to stop."""

    def __init__(self, server: ServerOptions, *, port: int, metrics_port: int) -> None:
        """Takes the options.

        Args:
          server: The options of the server.
          port: The shared port; 0 lets the system choose.
          metrics_port: The port of the Prometheus endpoint; 0 lets the system
            choose.
        """
        self._server = server
        self._port = port
        self._metrics_port = metrics_port
        self._workers: list[_Worker] = []
        self._signals: list[int] = []
        self._metrics_folder = Path()

    def run(self, on_ready: Callable[[Addresses], None]) -> int:
        """Serves until a signal ends it.

        Args:
          on_ready: Called once, when every worker serves.

        Returns:
          0 after an ordered stop, `EXIT_UNUSABLE` where the first workers could
          not serve the bundle.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note_signal)
        with ExitStack() as stack:
            self._metrics_folder = Path(tempfile.mkdtemp(prefix="twhin-metrics-"))
            stack.callback(shutil.rmtree, self._metrics_folder, ignore_errors=True)
            host = self._server.host
            shared = stack.enter_context(ReservedPort(host, self._port))
            own = [
                stack.enter_context(ReservedPort(host))
                for _ in range(self._server.num_workers)
            ]
            addresses = Addresses(
                port=shared.port,
                worker_ports=tuple(port.port for port in own),
                metrics_port=metrics.serve_metrics(
                    self._metrics_folder, host, self._metrics_port
                ),
            )
            stack.callback(self._stop_workers)
            self._start_workers(addresses)
            return self._watch(lambda: on_ready(addresses))

    def _start_workers(self, addresses: Addresses) -> None:
        cores = sorted(os.sched_getaffinity(0))
        for index, own_port in enumerate(addresses.worker_ports):
            worker_options = WorkerOptions(
                server=self._server,
                index=index,
                shared_port=addresses.port,
                own_port=own_port,
                core=cores[index % len(cores)]
                if self._server.num_workers > 1
                else None,
                supervisor=os.getpid(),
            )
            self._workers.append(
                _Worker(
                    options=worker_options,
                    process=self._start(worker_options),
                    start_time=time.monotonic(),
                )
            )

    def _start(self, worker_options: WorkerOptions) -> subprocess.Popen[bytes]:
        environment = {
            "GRPC_EXPERIMENTS": _GRPC_EXPERIMENTS,
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PROMETHEUS_MULTIPROC_DIR": str(self._metrics_folder),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "twhin.serving.worker",
                options.to_json(worker_options),
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        return process

    def _watch(self, on_ready: Callable[[], None]) -> int:
        announced = False
        while True:
            # Signals come at any time: each is taken off the list once.
            received, self._signals = self._signals, []
            if signal.SIGTERM in received or signal.SIGINT in received:
                return 0
            if received:
                self._look()
            for worker in self._workers:
                if not announced and worker.process.poll() == EXIT_UNUSABLE:
                    return EXIT_UNUSABLE
                self._keep_alive(worker)
            if not announced and all(worker.ready for worker in self._workers):
                announced = True
                on_ready()
            time.sleep(_POLL_SECS)

    def _keep_alive(self, worker: _Worker) -> None:
        now = time.monotonic()
        if worker.process.poll() is None:
            assert worker.process.stdout is not None
            worker.ready = worker.ready or bool(worker.process.stdout.read())
            return
        if worker.restart_time is None:
            metrics.forget_worker(self._metrics_folder, worker.process.pid)
            stable = now - worker.start_time > _STABLE_SECS
            worker.failures = 0 if stable else worker.failures + 1
            backoff = min(0.1 * 2.0**worker.failures, _MAX_BACKOFF_SECS)
            worker.restart_time = now + (0.0 if stable else backoff)
            _LOG.warning(
                "event=worker_ended worker=%d exit_code=%s",
                worker.options.index,
                worker.process.returncode,
            )
        if now >= worker.restart_time:
            worker.process = self._start(worker.options)
            worker.start_time, worker.restart_time = now, None
            worker.ready = False

    def _look(self) -> None:
        for worker in self._workers:
            # One that starts opens the current version anyway.
            if worker.ready and worker.process.poll() is None:
                worker.process.send_signal(signal.SIGHUP)

    def _stop_workers(self) -> None:
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGTERM)
        drain_secs = self._server.drain_notice_secs + self._server.drain_secs
        deadline = time.monotonic() + drain_secs + 5.0
        for worker in self._workers:
            try:
                worker.process.wait(max(deadline - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)
