# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""One process of a server: maps the bundle and answers requests.

Run by the supervisor as `python -m twhin.serving.worker OPTIONS`; prints one
line on standard output when it serves.
"""

import logging
import os
import signal
import sys
import threading
from concurrent import futures
from types import FrameType

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from twhin.serving.embedding_service import SERVICE_NAME, make_handlers
from twhin.serving.live_bundle import LiveBundle

from twhin.errors import TwhinError
from twhin.serving import access, allocator, metrics, options, tls
from twhin.serving.metrics import ServerMetrics
from twhin.serving.options import WorkerOptions

_LOG = logging.getLogger(__name__)
_EXIT_UNUSABLE = 2
# Two threads keep one core busy; more only hand the interpreter lock around.
_NUM_THREADS = 2


class Worker:
    """A gRPC server over one live bundle."""

    def __init__(self, worker_options: WorkerOptions) -> None:
        """Opens the bundle and binds the ports; does not answer yet.

        Raises:
          BundleError: The bundle cannot be served.
          ConfigError: A token file or certificate cannot be used.
        """
        server_options = worker_options.server
        self._options = worker_options
        self._wake = threading.Event()
        self._stopping = False
        server_metrics = ServerMetrics(metrics.worker_registry())
        self._live = LiveBundle(
            server_options.bundle,
            shards=server_options.shards,
            lock_memory=server_options.lock_memory,
            metrics=server_metrics,
        )
        limits = server_options.limits
        self._server = grpc.server(
            futures.ThreadPoolExecutor(_NUM_THREADS + limits.max_streams),
            maximum_concurrent_rpcs=limits.max_concurrent + limits.max_streams,
            options=[
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", limits.max_message_bytes),
                ("grpc.max_send_message_length", -1),
            ],
        )
        self._server.add_generic_rpc_handlers(
            (
                make_handlers(
                    self._live,
                    access=access.load_access(
                        server_options.token_file, server_options.num_workers
                    ),
                    limits=limits,
                    metrics=server_metrics,
                ),
            )
        )
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        self._bind()

    def run(self) -> None:
        """Serves until SIGTERM; then drains and returns."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, self._look)
        self._server.start()
        for name in ("", SERVICE_NAME):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        poll_secs = self._options.server.poll_secs or None
        while not self._stopping:
            self._wake.wait(poll_secs)
            self._wake.clear()
            if not self._stopping:
                self._live.refresh()
        self._drain()

    def _bind(self) -> None:
        server_options = self._options.server
        credentials = tls.load_server_credentials(
            server_options.tls_certificate,
            server_options.tls_key,
            server_options.tls_client_ca,
        )
        host = server_options.host
        host = f"[{host}]" if ":" in host else host
        for port in (self._options.shared_port, self._options.own_port):
            address = f"{host}:{port}"
            if credentials is None:
                self._server.add_insecure_port(address)
            else:
                self._server.add_secure_port(address, credentials)

    def _drain(self) -> None:
        self._health.enter_graceful_shutdown()
        self._server.stop(self._options.server.drain_secs).wait()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        self._wake.set()

    def _look(self, number: int, frame: FrameType | None) -> None:
        self._wake.set()


def main(argv: list[str]) -> int:
    """Serves with the options of the command line; returns the exit code."""
    worker_options = options.from_json(argv[1])
    logging.basicConfig(
        format=f"%(levelname)s %(name)s worker={worker_options.index} %(message)s"
    )
    if worker_options.server.access_log:
        logging.getLogger("twhin.access").setLevel(logging.INFO)
    if worker_options.core is not None:
        os.sched_setaffinity(0, {worker_options.core})
    allocator.keep_large_buffers()
    try:
        worker = Worker(worker_options)
    except TwhinError as error:
        _LOG.error("%s", error)
        return _EXIT_UNUSABLE
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
