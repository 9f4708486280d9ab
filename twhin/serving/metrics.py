# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Prometheus metrics of a worker, added up over workers by the supervisor.

The supervisor sets PROMETHEUS_MULTIPROC_DIR for its workers before they start:
prometheus_client then keeps every value in a file of that folder.
"""

import os
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    multiprocess,
    start_http_server,
)

_LATENCY_BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
)  # fmt: skip


class ServerMetrics:
    """The counters, gauges and histograms of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Registers the metrics."""
        self.requests = Counter(
            "twhin_requests",
            "Requests answered, by method and gRPC status.",
            ["method", "code"],
            registry=registry,
        )
        self.latency = Histogram(
            "twhin_request_seconds",
            "Time from arrival to answer.",
            ["method", "version"],
            buckets=_LATENCY_BUCKETS,
            registry=registry,
        )
        self.rows = Counter(
            "twhin_rows",
            "Ids asked for, by entity type.",
            ["entity_type"],
            registry=registry,
        )
        self.misses = Counter(
            "twhin_misses",
            "Ids asked for and not found, by entity type.",
            ["entity_type"],
            registry=registry,
        )
        self.reloads = Counter(
            "twhin_reloads",
            "Attempts to switch to another version, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.mapped_bytes = Gauge(
            "twhin_mapped_bytes",
            "Bytes of the bundle that a worker maps; workers share the pages.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.served_version = Gauge(
            "twhin_served_version",
            "The number of the version that a worker serves, the lowest of all.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.refused = Gauge(
            "twhin_reload_refused",
            "1 while the current version cannot be served and an older one is.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._row_counters: dict[str, tuple[Counter, Counter]] = {}
        self._latencies: dict[tuple[str, str], Histogram] = {}

    def observe_latency(self, method: str, version: str, secs: float) -> None:
        """Notes the time that one answer took."""
        key = method, version
        latency = self._latencies.get(key)
        if latency is None:
            latency = self._latencies[key] = self.latency.labels(*key)
        latency.observe(secs)

    def count_rows(self, entity_type: str, num_ids: int, num_missing: int) -> None:
        """Counts the ids of a request, and those that were not found."""
        counters = self._row_counters.get(entity_type)
        if counters is None:
            counters = self.rows.labels(entity_type), self.misses.labels(entity_type)
            self._row_counters[entity_type] = counters
        counters[0].inc(num_ids)
        if num_missing:
            counters[1].inc(num_missing)


def serve_metrics(folder: Path, host: str, port: int) -> int:
    """Serves the metrics of all workers over HTTP from a thread.

    Args:
      folder: The folder in which workers keep their values.
      host: The address to listen on.
      port: The port; 0 lets the system choose.

    Returns:
      The port.
    """
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    server, _ = start_http_server(port, addr=host, registry=registry)
    return int(server.server_port)


def forget_worker(folder: Path, pid: int) -> None:
    """Drops the gauges of a worker that has ended."""
    multiprocess.mark_process_dead(pid, path=str(folder))  # type: ignore[no-untyped-call]


def worker_registry() -> CollectorRegistry:
    """Returns the registry of a worker; its values live in the shared folder."""
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        raise RuntimeError(
            "PROMETHEUS_MULTIPROC_DIR is not set; the supervisor sets it"
        )
    return CollectorRegistry()
