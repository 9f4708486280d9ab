# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a server does under change, overload, crashes and malformed input."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from tools.bench.serve_bundle import ENTITY_TYPE
from tools.bench.serve_offered_load import OfferedLoad
from twhin.bundle import versions
from twhin.client.channel import SERVICE, Connection
from twhin.client.remote_source import RemoteSource
from twhin.client.wire import lookup_request
from twhin.serving.limits import Limits
from twhin.testing.malformed_requests import (
    PREFACE,
    PROPER_STATUSES,
    connect,
    send_malformed,
    send_raw,
)
from twhin.testing.request_load import LoadForTest
from twhin.testing.server_process import ServerForTest, wait_until
from twhin.v1.embedding_service_pb2 import VECTOR_DTYPE_FLOAT32

_BATCH = 100
# So many ids that the server, not the client, is what is overloaded.
_OVERLOAD_BATCH = 2000


def measure_start(root: Path, num_times: int) -> dict[str, Any]:
    """Returns the seconds from the start of the supervisor to "serving"."""
    secs = []
    for _ in range(num_times):
        start = time.perf_counter()
        with ServerForTest(root, num_workers=2):
            secs.append(time.perf_counter() - start)
    return {"median_secs": float(np.median(secs)), "max_secs": max(secs)}


def measure_reloads(root: Path, num_rows: int, num_reloads: int) -> dict[str, Any]:
    """Switches between v000001 and v000002, whose rows end in 1 and in 2."""
    with (
        ServerForTest(root, num_workers=2) as server,
        RemoteSource(server.address) as source,
        RemoteSource(server.address) as other,
        other.open_stream() as stream,
        RemoteSource(server.address, Connection(timeout_secs=60)) as admin,
    ):
        calls = [_checked(where.lookup, num_rows) for where in (source, stream)]
        sizes = []
        with LoadForTest(*calls, calls[0]) as load:
            for number in range(num_reloads):
                versions.set_current(root, f"v00000{number % 2 + 1}")
                admin.reload()
                sizes.append(server.resident_bytes())
    fifth = max(num_reloads // 5, 1)
    return {
        "num_reloads": num_reloads,
        "num_requests": sum(load.statuses.values()),
        "failed": sum(n for code, n in load.statuses.items() if code != "OK"),
        "mixed": len(load.faults),
        "private_bytes_first": float(np.median(sizes[fifth : 2 * fifth])),
        "private_bytes_last": float(np.median(sizes[-fifth:])),
        "p99_secs": load.percentile(0.99),
    }


def measure_overload(root: Path, num_rows: int, secs: float) -> dict[str, Any]:
    """Offers a worker three times the requests that it can answer, for `secs`."""
    limits = Limits(max_concurrent=4, max_streams=0)
    rng = np.random.default_rng(6)
    requests = [
        lookup_request([(ENTITY_TYPE, ids)], VECTOR_DTYPE_FLOAT32)
        for ids in rng.integers(0, num_rows, (32, _OVERLOAD_BATCH))
    ]
    with (
        ServerForTest(root, num_workers=1, limits=limits) as server,
        grpc.insecure_channel(
            server.address, [("grpc.max_receive_message_length", -1)]
        ) as channel,
    ):
        lookup = channel.unary_unary(f"/{SERVICE}/Lookup", None, None)
        offer = OfferedLoad(lookup, requests)
        rate = offer.run(5.0, limit=limits.max_concurrent)["rate"]
        return {
            "capacity": rate,
            "before": offer.run(5.0, limit=limits.max_concurrent),
            "over": offer.run(secs, rate=3 * rate),
            "after": offer.run(5.0, limit=limits.max_concurrent),
        }


def measure_kills(root: Path, num_rows: int, num_kills: int) -> dict[str, Any]:
    """Kills workers under load; the client retries."""
    back = []
    with (
        ServerForTest(root, num_workers=2) as server,
        RemoteSource(server.address) as source,
    ):
        call = _checked(source.lookup, num_rows)
        with LoadForTest(call, call) as load:
            for _ in range(num_kills):
                # A worker that ends soon again is started later.
                time.sleep(6)
                pids = server.worker_pids()
                os.kill(pids[0], signal.SIGKILL)
                start = time.perf_counter()
                wait_until(lambda gone=pids[0]: gone not in server.worker_pids())
                wait_until(lambda: _all_listen(server))
                back.append(time.perf_counter() - start)
                time.sleep(0.5)
    return {
        "num_kills": num_kills,
        "statuses": dict(load.statuses),
        "faults": len(load.faults),
        "max_back_secs": max(back),
        "max_request_secs": max(load.latencies),
    }


def measure_malformed(root: Path, count: int) -> dict[str, Any]:
    """Sends malformed messages and connections to a server of the test's bundle."""
    rng = random.Random(1)
    with ServerForTest(root) as server, contextlib.ExitStack() as half_open:
        pids, port = server.worker_pids(), server.addresses.worker_ports[0]
        channel = half_open.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}"))
        send_malformed(channel, rng, 500)
        before = server.resident_bytes()
        for _ in range(50):
            half_open.enter_context(connect(port)).sendall(PREFACE[:10])
        send_raw(port, rng, count // 10)
        statuses = send_malformed(channel, rng, count)
        return {
            "statuses": dict(statuses),
            "improper": sorted(set(statuses) - PROPER_STATUSES),
            "crashes": int(server.worker_pids() != pids),
            "private_bytes_before": before,
            "private_bytes_after": server.resident_bytes(),
            "traces_in_log": server.errors().count("Traceback"),
        }


def compare_shards(root: Path, num_rows: int) -> dict[str, Any]:
    """Compares four servers of a quarter each with one server."""
    rng = np.random.default_rng(2)
    with contextlib.ExitStack() as stack:
        parts = [
            stack.enter_context(ServerForTest(root, shards=(i, i + 1, 4)))
            for i in range(4)
        ]
        whole = stack.enter_context(ServerForTest(root))
        four = stack.enter_context(RemoteSource([part.address for part in parts]))
        one = stack.enter_context(RemoteSource(whole.address))
        differing = 0
        for batch in (1, 100, 20_000):
            ids = rng.integers(0, 2 * num_rows, batch)
            found, expected = (s.lookup(ENTITY_TYPE, ids) for s in (four, one))
            differing += found.values.tobytes() != expected.values.tobytes()
            differing += found.found.tobytes() != expected.found.tobytes()
        ids = rng.integers(0, num_rows, 20)
        near, expected_near = (
            s.retrieve(ENTITY_TYPE, ids, k=50, exact=True) for s in (four, one)
        )
        differing += near.ids.tobytes() != expected_near.ids.tobytes()
        differing += near.scores.tobytes() != expected_near.scores.tobytes()
        return {"compared": 8, "differing": int(differing)}


def _checked(lookup: Callable[..., Any], num_rows: int) -> Callable[[], None]:
    """Returns a lookup whose rows must all be of the version that it names."""
    rng = np.random.default_rng(5)
    requests = rng.integers(0, num_rows, (64, _BATCH))
    turn = iter(range(1 << 60))

    def call() -> None:
        vectors = lookup(ENTITY_TYPE, requests[next(turn) % len(requests)])
        if not (vectors.values[:, -1] == float(vectors.version[-1])).all():
            raise AssertionError("an answer mixes versions")

    return call


def _all_listen(server: ServerForTest) -> bool:
    for port in server.addresses.worker_ports:
        try:
            connect(port).close()
        except OSError:
            return False
    return True
