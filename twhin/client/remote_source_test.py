# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of remote_source, async_source and lookup_stream against real servers."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from twhin.client.async_source import AsyncSource
from twhin.client.channel import Connection
from twhin.client.local_source import LocalSource
from twhin.client.remote_source import RemoteSource
from twhin.client.request_error import RequestError
from twhin.serving.limits import Limits
from twhin.testing.served_bundle import NUM_USERS, user_id, vector, write_bundle
from twhin.testing.server_process import ServerForTest, wait_until

_IDS = [user_id(2), 5, user_id(0)]
_NAMES = ["t1", "unknown", "t4"]


@pytest.fixture(name="root", scope="module")
def _root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundle")
    write_bundle(root, num_shards=2)
    return root


@pytest.fixture(name="server", scope="module")
def _server(root: Path) -> Iterator[ServerForTest]:
    with ServerForTest(root, limits=Limits(max_ids=100, max_queries=2)) as server:
        yield server


@pytest.fixture(name="halves", scope="module")
def _halves(root: Path) -> Iterator[list[str]]:
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(ServerForTest(root, shards=(i, i + 1, 2)))
            for i in range(2)
        ]
        yield [server.address for server in servers]


def _same(found: Any, expected: Any) -> None:
    """Asserts that two results are equal in every field."""
    assert type(found) is type(expected)
    for name in expected.__slots__:
        ours, theirs = getattr(found, name), getattr(expected, name)
        if isinstance(theirs, np.ndarray):
            assert ours.tolist() == theirs.tolist() or np.isnan(theirs).any(), name
            assert ours.dtype == theirs.dtype, name
        else:
            assert ours == theirs, name


@pytest.mark.parametrize("sharded", [False, True])
def test_a_server_answers_as_the_files_do(
    root: Path, server: ServerForTest, halves: list[str], sharded: bool
) -> None:
    addresses = halves if sharded else [server.address]
    with LocalSource(root) as here, RemoteSource(addresses) as there:
        _same(there.lookup("user", _IDS), here.lookup("user", _IDS))
        _same(
            there.lookup("tweet", _NAMES, dtype="float16"),
            here.lookup("tweet", _NAMES, dtype="float16"),
        )
        for arguments in (
            {"relation": "likes", "k": 2},
            {"k": 9},
            {"relation": "likes", "k": 3, "exclude": ["t3"], "min_score": 1.0},
        ):
            _same(
                there.retrieve("user", _IDS, **arguments),
                here.retrieve("user", _IDS, **arguments),
            )
        _same(
            there.score("likes", user_id(1), _NAMES),
            here.score("likes", user_id(1), _NAMES),
        )


def test_large_requests_are_split_and_joined(server: ServerForTest) -> None:
    ids = [user_id(i % (NUM_USERS + 1)) for i in range(1000)]
    with RemoteSource(server.address) as source:
        found = source.lookup("user", ids)
        best = source.retrieve("user", ids[:7], relation="likes", k=1)
        scores = source.score("likes", user_id(1), ["t1", "t2"] * 200)
        with source.open_stream() as stream:
            streamed = stream.lookup("user", ids)

    expected = [
        vector(i % 7) if i % 7 < NUM_USERS else [0.0] * 4 for i in range(len(ids))
    ]
    assert found.values.tolist() == expected
    assert streamed.values.tolist() == expected
    assert found.found.sum() == sum(i % 7 < NUM_USERS for i in range(len(ids)))
    assert best.offsets.tolist() == [0, 1, 2, 3, 4, 5, 6, 6]
    assert len(set(scores.values.tolist())) == 2


def test_groups_over_the_limit_go_in_several_calls(server: ServerForTest) -> None:
    groups: dict[str, Any] = {"user": [user_id(1)] * 70, "tweet": ["t2"] * 170}
    with RemoteSource(server.address) as source:
        found = source.lookup_many(groups)

    assert list(found) == ["user", "tweet"]
    assert found["user"].values.tolist() == [vector(1)] * 70
    assert found["tweet"].values.tolist() == [vector(2)] * 170


def test_refusals_are_errors_with_their_status(server: ServerForTest) -> None:
    with RemoteSource(server.address) as source:
        for call, code, message in (
            (lambda: source.lookup("usr", [1]), "NOT_FOUND", "did you mean 'user'"),
            (
                lambda: source.retrieve("user", [1], k=0),
                "INVALID_ARGUMENT",
                "k: is 0; allowed: 1 to 1000",
            ),
        ):
            with pytest.raises(RequestError) as caught:
                call()
            assert caught.value.code is grpc.StatusCode[code]
            assert message in str(caught.value)
        with pytest.raises(TypeError, match="ids of 'user'"):
            source.lookup("user", ["a"])


def test_no_server_ends_at_the_deadline() -> None:
    start = time.monotonic()
    with (
        RemoteSource("127.0.0.1:1", Connection(timeout_secs=0.5)) as source,
        pytest.raises(RequestError) as caught,
    ):
        source.lookup("user", [1])

    assert caught.value.code in (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNAVAILABLE,
    )
    assert time.monotonic() - start < 5


def test_asyncio_answers_as_threads_do(
    server: ServerForTest, halves: list[str]
) -> None:
    async def ask(addresses: list[str]) -> list[Any]:
        async with AsyncSource(addresses) as source:
            found = await asyncio.gather(
                source.lookup("user", _IDS * 100),
                source.lookup("tweet", _NAMES),
                source.retrieve("user", _IDS, relation="likes", k=2),
                source.score("likes", user_id(1), _NAMES),
                source.describe(),
            )
            with pytest.raises(RequestError, match="NOT_FOUND"):
                await source.lookup("usr", [1])
            async with await source.open_stream() as stream:
                streamed = await stream.lookup("user", _IDS * 100)
                again = await stream.lookup("user", _IDS)
            return [*found, streamed, again]

    for addresses in ([server.address], halves):
        results = asyncio.run(ask(addresses))
        with RemoteSource(addresses) as source:
            _same(results[0], source.lookup("user", _IDS * 100))
            _same(results[1], source.lookup("tweet", _NAMES))
            _same(results[2], source.retrieve("user", _IDS, relation="likes", k=2))
            _same(results[3], source.score("likes", user_id(1), _NAMES))
            _same(results[4], source.describe())
            _same(results[5], results[0])
            _same(results[6], source.lookup("user", _IDS))


def test_a_restarted_server_is_found_again(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    with (
        ServerForTest(tmp_path) as server,
        RemoteSource(server.address) as source,
        source.open_stream() as stream,
    ):
        stream.lookup("user", _IDS)
        (worker,) = server.worker_pids()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: server.worker_pids() not in ([worker], []))

        assert stream.lookup("user", _IDS).found.tolist() == [True, False, True]
        assert source.lookup("user", _IDS).found.tolist() == [True, False, True]


def test_a_stream_of_asyncio_is_opened_again(tmp_path: Path) -> None:
    async def ask(server: ServerForTest) -> list[list[bool]]:
        found = []
        async with (
            AsyncSource(server.address) as source,
            await source.open_stream() as stream,
        ):
            found.append((await stream.lookup("user", _IDS)).found.tolist())
            (worker,) = server.worker_pids()
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: server.worker_pids() not in ([worker], []))
            found.append((await stream.lookup("user", _IDS)).found.tolist())
        return found

    write_bundle(tmp_path)
    with ServerForTest(tmp_path) as server:
        assert asyncio.run(ask(server)) == [[True, False, True]] * 2


def test_a_new_entity_type_and_other_shards_are_noticed(tmp_path: Path) -> None:
    write_bundle(tmp_path, num_shards=2, base=1.0)
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(ServerForTest(tmp_path, shards=(i, i + 1, 2)))
            for i in range(2)
        ]
        source = stack.enter_context(RemoteSource([s.address for s in servers]))
        ids = [user_id(i) for i in range(NUM_USERS)]
        assert source.lookup("user", ids).values[:, -1].tolist() == [1.0] * NUM_USERS

        write_bundle(tmp_path, num_shards=4, base=2.0)
        # One server switches before the other: no answer mixes the two.
        servers[0].process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        servers[1].process.send_signal(signal.SIGHUP)

        found = source.lookup("user", ids)
        assert found.version == "v000002"
        assert found.values[:, -1].tolist() == [2.0] * NUM_USERS
