# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of servers under load, change, crashes and malformed input."""

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

from twhin.bundle import versions
from twhin.client.channel import Connection
from twhin.client.lookup_stream import LookupStream
from twhin.client.remote_source import RemoteSource
from twhin.serving.limits import Limits
from twhin.testing.malformed_requests import (
    PREFACE,
    PROPER_STATUSES,
    connect,
    send_malformed,
    send_raw,
)
from twhin.testing.request_load import LoadForTest
from twhin.testing.served_bundle import user_id, write_bundle
from twhin.testing.server_process import ServerForTest, wait_until

_NUM_RELOADS = 40
_NUM_MALFORMED = 3000
_USERS = [user_id(i) for i in range(6)]
_TWEETS = [f"t{i}" for i in range(5)]

# On a slow machine a request may wait for longer than users would.
_PATIENT = Limits(max_queue_secs=10.0)


def _check_one_version(source: RemoteSource | LookupStream) -> Callable[[], None]:
    """Returns a call whose two tables must be of one version: v000001 ends in 1."""

    def call() -> None:
        found = source.lookup_many({"user": _USERS, "tweet": _TWEETS})
        bases = {float(b) for v in found.values() for b in v.values[:, -1]}
        (version,) = {vectors.version for vectors in found.values()}
        assert bases == {float(version[-1])}, (bases, version)

    return call


def test_reloads_under_load_fail_nothing_and_mix_nothing(tmp_path: Path) -> None:
    write_bundle(tmp_path, base=1.0)
    write_bundle(tmp_path, base=2.0)
    with (
        ServerForTest(tmp_path, num_workers=2, limits=_PATIENT) as server,
        RemoteSource(server.address) as source,
        source.open_stream() as stream,
        RemoteSource(server.address) as admin,
    ):
        calls = (_check_one_version(source), _check_one_version(stream))
        with LoadForTest(*calls, calls[0]) as load:
            sizes = []
            for number in range(_NUM_RELOADS):
                versions.set_current(tmp_path, f"v00000{number % 2 + 1}")
                admin.reload()
                sizes.append(server.resident_bytes())

    assert not load.faults, load.faults[0]
    assert set(load.statuses) == {"OK"}
    assert load.statuses["OK"] > _NUM_RELOADS
    # A version that stays mapped, or a leak of a handler, would grow each time.
    half = _NUM_RELOADS // 2
    assert np.median(sizes[half:]) < np.median(sizes[:half]) + (8 << 20)


def test_overload_is_refused_and_passes(tmp_path: Path) -> None:
    write_bundle(tmp_path, base=1.0)
    limits = {"max_concurrent": 4, "max_streams": 0}
    with (
        _limited_server(tmp_path, **limits) as server,
        RemoteSource(server.address, Connection(timeout_secs=5)) as source,
    ):
        call = _check_one_version(source)
        with LoadForTest(call, call) as normal:
            time.sleep(1)
        with LoadForTest(*[call] * 16) as over:
            time.sleep(2)
        with LoadForTest(call, call) as after:
            time.sleep(1)

    for load in (normal, over, after):
        assert not load.faults, load.faults[0]
    assert set(normal.statuses) == {"OK"}
    assert set(over.statuses) == {"OK", "RESOURCE_EXHAUSTED"}
    assert set(after.statuses) == {"OK"}
    # Accepted requests are answered about as soon as ever; 16 threads of this
    # process wait for the interpreter as well, which the bound allows for.
    assert over.percentile(0.5) < 20 * normal.percentile(0.5)


def test_a_killed_worker_is_hidden_by_retries_and_comes_back(tmp_path: Path) -> None:
    write_bundle(tmp_path, base=1.0)
    with (
        ServerForTest(tmp_path, num_workers=2, limits=_PATIENT) as server,
        RemoteSource(server.address) as source,
    ):
        call = _check_one_version(source)
        with LoadForTest(call, call) as load:
            time.sleep(0.3)
            killed, other = server.worker_pids()
            os.kill(killed, signal.SIGKILL)
            start = time.monotonic()
            wait_until(lambda: killed not in server.worker_pids())
            wait_until(lambda: _all_answer(server))
            assert time.monotonic() - start < 5
            time.sleep(0.3)
        assert other in server.worker_pids()
        assert len(server.worker_pids()) == 2

    assert not load.faults, load.faults[0]
    assert set(load.statuses) == {"OK"}


def test_malformed_input_harms_nothing(tmp_path: Path) -> None:
    write_bundle(tmp_path, base=1.0)
    rng = random.Random(7)
    with ServerForTest(tmp_path) as server:
        workers = server.worker_pids()
        port = server.addresses.worker_ports[0]
        with (
            grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
            RemoteSource(server.address) as source,
            contextlib.ExitStack() as half_open,
        ):
            send_malformed(channel, rng, 300)
            before = server.resident_bytes()
            for _ in range(40):
                half_open.enter_context(connect(port)).sendall(PREFACE[:10])
            send_raw(port, rng, 300)
            statuses = send_malformed(channel, rng, _NUM_MALFORMED)

            assert source.lookup("user", _USERS).found.all()
            assert server.resident_bytes() < before + (16 << 20)
        assert server.worker_pids() == workers

    assert set(statuses) <= PROPER_STATUSES, statuses
    assert statuses["INVALID_ARGUMENT"] > _NUM_MALFORMED / 4
    assert "Traceback" not in server.errors()


def _limited_server(root: Path, **limits: Any) -> ServerForTest:
    return ServerForTest(root, limits=Limits(**limits))


def _all_answer(server: ServerForTest) -> bool:
    for port in server.addresses.worker_ports:
        try:
            connect(port).close()
        except OSError:
            return False
    return True
