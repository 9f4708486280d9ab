# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of lookups of batch after batch over one stream."""

import contextlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from twhin.client.local_source import LocalSource
from twhin.client.remote_source import RemoteSource
from twhin.serving.limits import Limits
from twhin.testing.served_bundle import NUM_USERS, user_id, write_bundle
from twhin.testing.server_process import ServerForTest, wait_until

_USERS = [user_id(i) for i in range(NUM_USERS)]
_IDS = [user_id(2), 5, user_id(0)]
# A call has at most 100 ids.
_LIMITS = Limits(max_ids=100)


@pytest.fixture(name="root", scope="module")
def _root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundle")
    write_bundle(root, num_shards=2)
    return root


@pytest.fixture(name="server", scope="module")
def _server(root: Path) -> Iterator[ServerForTest]:
    with ServerForTest(root, limits=_LIMITS) as server:
        yield server


def test_each_batch_has_the_vectors_of_its_own_lookup(
    root: Path, server: ServerForTest
) -> None:
    # One of them takes more calls than are sent ahead.
    batches = [_IDS, [], _USERS * 40, *([user] for user in _USERS), _IDS * 300, _IDS]
    with (
        LocalSource(root) as here,
        RemoteSource(server.address) as source,
        source.open_stream() as stream,
    ):
        found = list(stream.lookup_each("user", batches))
        expected = [here.lookup("user", ids) for ids in batches]

    assert [v.values.tolist() for v in found] == [v.values.tolist() for v in expected]
    assert [v.found.tolist() for v in found] == [v.found.tolist() for v in expected]


def test_batches_are_taken_some_ahead(server: ServerForTest) -> None:
    taken = itertools.count()
    batches = (_IDS for number in taken)
    with RemoteSource(server.address) as source, source.open_stream() as stream:
        next(stream.lookup_each("user", batches))

        assert 2 <= next(taken) <= 100


@pytest.mark.parametrize("fault", ["left early", "wrong ids"])
def test_a_stream_goes_on_after_batches_that_nobody_took(
    server: ServerForTest, fault: str
) -> None:
    with RemoteSource(server.address) as source, source.open_stream() as stream:
        if fault == "left early":
            batches = stream.lookup_each("user", [_USERS] * 100)
            next(batches)
            batches.close()
        else:
            with pytest.raises(TypeError):
                list(stream.lookup_each("user", [*[_USERS] * 20, ["text"]]))

        assert stream.lookup("user", _IDS).found.tolist() == [True, False, True]


def test_batches_under_way_survive_the_end_of_a_worker(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    with (
        ServerForTest(tmp_path) as server,
        RemoteSource(server.address) as source,
        source.open_stream() as stream,
    ):
        batches = stream.lookup_each("user", [_IDS[: 1 + i % 3] for i in range(99)])
        sizes = [len(next(batches).found)]
        (worker,) = server.worker_pids()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: server.worker_pids() not in ([worker], []))
        sizes += [len(vectors.found) for vectors in batches]

    assert sizes == [1, 2, 3] * 33


def test_no_batch_mixes_versions_of_two_servers(tmp_path: Path) -> None:
    write_bundle(tmp_path, num_shards=2, base=1.0)
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(ServerForTest(tmp_path, shards=(i, i + 1, 2)))
            for i in range(2)
        ]
        source = stack.enter_context(RemoteSource([s.address for s in servers]))
        stream = stack.enter_context(source.open_stream())
        batches = stream.lookup_each("user", itertools.repeat(_USERS))
        assert next(batches).values[:, -1].tolist() == [1.0] * NUM_USERS

        write_bundle(tmp_path, num_shards=2, base=2.0)
        servers[0].process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        later = threading.Timer(
            0.2, servers[1].process.send_signal, args=[signal.SIGHUP]
        )
        later.start()
        seen = [set(next(batches).values[:, -1].tolist()) for _ in range(300)]
        later.join()

    assert all(len(numbers) == 1 for numbers in seen)
    assert seen[-1] == {2.0}
