# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""One process of a server: maps the bundle and answers requests.

Run by the supervisor as `python -m twhin.serving.worker OPTIONS`; prints one
line on standard output when it serves.
"""

import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from concurrent import futures
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from twhin import allocator
from twhin.errors import TwhinError
from twhin.serving import access, handlers, metrics, options, tls
from twhin.serving.embedding_service import SERVICE_NAME, make_handlers
from twhin.serving.live_bundle import LiveBundle
from twhin.serving.metrics import ServerMetrics
from twhin.serving.options import WorkerOptions
from twhin.serving.request_threads import RequestThreads

_LOG = logging.getLogger(__name__)
_EXIT_UNUSABLE = 2
# Blocked in all threads and waited for in one: no handler interrupts anything.
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_LONG_SECS = 3600.0
_NUM_REFLECTION_THREADS = 2
_NUM_SPARE_RPCS = 64
_PR_SET_PDEATHSIG = 1


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
        server_metrics = ServerMetrics(metrics.worker_registry())
        self._live = LiveBundle(
            server_options.bundle,
            shards=server_options.shards,
            lock_memory=server_options.lock_memory,
            preload=server_options.preload,
            metrics=server_metrics,
        )
        limits = server_options.limits
        threads = RequestThreads(handlers.NUM_AT_WORK, limits.max_concurrent + 2)
        interceptors: list[Any] = []
        self._at_end = contextlib.ExitStack()
        if server_options.trace:
            # Lazy, since nobody else should wait for its import.
            from twhin.serving import tracing

            provider = tracing.make_provider()
            interceptors = [tracing.TracingInterceptor(provider, SERVICE_NAME)]
            self._at_end.callback(provider.shutdown)
        self._server = grpc.server(
            threads,  # type: ignore[arg-type]  # Only `submit` is used.
            interceptors=interceptors,
            # Beyond our own limits, which say so: only where refusals pile up.
            maximum_concurrent_rpcs=limits.max_concurrent
            + limits.max_streams
            + _NUM_SPARE_RPCS,
            options=[
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", limits.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                # As in the client, for requests.
                ("grpc.http2.lookahead_bytes", 1 << 20),
                ("grpc.http2.bdp_probe", 0),
                # Ends what a dead or silent peer left open.
                ("grpc.server_handshake_timeout_ms", 10_000),
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
                ("grpc.max_connection_age_ms", 600_000),
                ("grpc.max_connection_age_grace_ms", 30_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
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
                    threads=threads,
                    on_reload=self._tell_others,
                ),
            )
        )
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        # Its streams may stay open and wait: not in the threads of requests.
        reflect: Any = reflection.ReflectionServicer.ServerReflectionInfo
        reflect.experimental_thread_pool = futures.ThreadPoolExecutor(
            _NUM_REFLECTION_THREADS
        )
        reflection.enable_server_reflection(
            (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        self._bind()

    def run(self) -> None:
        """Serves until SIGTERM; then drains and returns."""
        self._server.start()
        for name in ("", SERVICE_NAME):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        poll_secs = self._options.server.poll_secs or _LONG_SECS
        while True:
            received = signal.sigtimedwait(_SIGNALS, poll_secs)
            if received is not None and received.si_signo == signal.SIGTERM:
                break
            # A signal asks again for a version that was refused.
            self._live.refresh(retry=received is not None)
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
        time.sleep(self._options.server.drain_notice_secs)
        self._server.stop(self._options.server.drain_secs).wait()
        self._at_end.close()

    def _tell_others(self) -> None:
        """Has the supervisor make all workers look for a new version."""
        if os.getppid() == self._options.supervisor:
            os.kill(self._options.supervisor, signal.SIGHUP)


def main(argv: list[str]) -> int:
    """Serves with the options of the command line; returns the exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker_options = options.from_json(argv[1])
    _end_with(worker_options.supervisor)
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


def _end_with(supervisor: int) -> None:
    """Has the system stop this process when the supervisor's ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != supervisor:
        sys.exit(_EXIT_UNUSABLE)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
