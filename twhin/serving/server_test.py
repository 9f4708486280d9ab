# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of whole servers: supervisor, workers, and what operates them."""

import hashlib
import json
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from twhin.client.channel import Connection
from twhin.client.remote_source import RemoteSource
from twhin.client.request_error import RequestError
from twhin.serving.embedding_service import SERVICE_NAME
from twhin.testing.certificates import make_certificates
from twhin.testing.served_bundle import user_id, vector, write_bundle
from twhin.testing.server_process import ServerForTest, wait_until


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    root = tmp_path / "bundle"
    write_bundle(root, base=1.0)
    return root


@pytest.fixture(name="server")
def _server(root: Path) -> Iterator[ServerForTest]:
    with ServerForTest(root, num_workers=2) as server:
        yield server


def _metrics(server: ServerForTest) -> dict[str, float]:
    url = f"http://127.0.0.1:{server.addresses.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    found = re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def _base(port: int) -> float:
    """Returns the number that all vectors of one worker end with."""
    with RemoteSource(f"127.0.0.1:{port}") as source:
        return float(source.lookup("user", [10]).values[0, -1])


def test_every_port_answers(server: ServerForTest) -> None:
    ports = (server.addresses.port, *server.addresses.worker_ports)

    assert len(set(ports)) == 3
    for port in ports:
        with RemoteSource(f"127.0.0.1:{port}") as source:
            found = source.lookup("user", [user_id(3)])
            assert found.values.tolist() == [vector(3, 1.0)]


def test_metrics_add_up_over_the_workers(server: ServerForTest) -> None:
    for port in server.addresses.worker_ports:
        with RemoteSource(f"127.0.0.1:{port}") as source:
            source.lookup("user", [user_id(0), user_id(1), 5])

    metrics = _metrics(server)

    assert metrics['twhin_requests_total{code="OK",method="Lookup"}'] == 2
    assert metrics['twhin_rows_total{entity_type="user"}'] == 6
    assert metrics['twhin_misses_total{entity_type="user"}'] == 2
    assert metrics["twhin_served_version"] == 1
    assert metrics["twhin_mapped_bytes"] > 0


def test_health_and_reflection_are_standard(server: ServerForTest) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.addresses.port}") as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE_NAME):
            request = health_pb2.HealthCheckRequest(service=name)
            status = health.Check(request, timeout=5).status
            assert status == health_pb2.HealthCheckResponse.SERVING

        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answer = next(stub.ServerReflectionInfo(iter([request]), timeout=5))
        names = [s.name for s in answer.list_services_response.service]
        assert SERVICE_NAME in names


def test_a_reload_call_switches_all_workers(root: Path, server: ServerForTest) -> None:
    write_bundle(root, base=2.0)

    with RemoteSource(f"127.0.0.1:{server.addresses.worker_ports[0]}") as source:
        source.reload()
        assert source.lookup("user", [10]).values[0, -1] == 2.0

    other = server.addresses.worker_ports[1]
    wait_until(lambda: _base(other) == 2.0)


def test_sighup_and_polling_switch_all_workers(root: Path) -> None:
    with ServerForTest(root, num_workers=2, poll_secs=0.1) as server:
        ports = server.addresses.worker_ports
        write_bundle(root, base=2.0)
        wait_until(lambda: [_base(port) for port in ports] == [2.0, 2.0])
    with ServerForTest(root, num_workers=2) as server:
        ports = server.addresses.worker_ports
        write_bundle(root, base=3.0)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: [_base(port) for port in ports] == [3.0, 3.0])


def test_a_bad_version_is_refused_without_its_path(
    root: Path, server: ServerForTest
) -> None:
    version = write_bundle(root, base=2.0)
    path = next((root / version / "tables" / "user").iterdir())
    path.write_bytes(bytes(path.stat().st_size))

    with (
        RemoteSource(f"127.0.0.1:{server.addresses.port}") as source,
        pytest.raises(RequestError) as caught,
    ):
        source.reload()

    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "'v000001' stays" in str(caught.value)
    assert str(root) not in str(caught.value)
    assert _metrics(server)["twhin_reload_refused"] == 1
    assert _base(server.addresses.port) == 1.0
    assert f"event=reload_refused serving=v000001: {path}" in server.errors()


def test_health_says_not_serving_before_requests_are_refused(root: Path) -> None:
    with ServerForTest(root, drain_notice_secs=1.0) as server:
        address = f"127.0.0.1:{server.addresses.worker_ports[0]}"
        with grpc.insecure_channel(address) as channel, RemoteSource(address) as source:
            health: Any = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=10)
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING

            server.process.send_signal(signal.SIGTERM)

            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert source.lookup("user", [10]).found.tolist() == [True]
            watch.cancel()
        assert server.process.wait(10) == 0


def test_an_unsound_bundle_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with (
        pytest.raises(AssertionError, match="no bundle"),
        ServerForTest(tmp_path / "empty"),
    ):
        pass


def test_tokens_permit_what_they_name(root: Path, tmp_path: Path) -> None:
    entry = {
        "name": "ranker",
        "sha256": hashlib.sha256(b"secret").hexdigest(),
        "permissions": ["lookup"],
    }
    tokens = tmp_path / "tokens.json"
    tokens.write_text(json.dumps({"tokens": [entry]}))
    with ServerForTest(root, token_file=tokens) as server:
        with RemoteSource(server.address, Connection(token="secret")) as source:
            assert source.lookup("user", [10]).found.tolist() == [True]
            with pytest.raises(RequestError) as caught:
                source.reload()
            assert caught.value.code is grpc.StatusCode.PERMISSION_DENIED
        with (
            RemoteSource(server.address) as source,
            pytest.raises(RequestError) as caught,
        ):
            source.lookup("user", [10])
        assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED


def test_tls_and_mutual_tls(root: Path, tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    trusting = Connection(timeout_secs=5, tls_roots=files.authority)
    known = Connection(
        timeout_secs=5,
        tls_roots=files.authority,
        tls_certificate=files.client_certificate,
        tls_key=files.client_key,
    )
    for client_ca, connections in (
        (None, (trusting, known)),
        (files.authority, (known,)),
    ):
        with ServerForTest(
            root,
            tls_certificate=files.certificate,
            tls_key=files.key,
            tls_client_ca=client_ca,
        ) as server:
            for connection in connections:
                with RemoteSource(server.address, connection) as source:
                    assert source.lookup("user", [10]).found.tolist() == [True]
            strangers = [Connection(timeout_secs=0.5)]
            if client_ca is not None:
                strangers.append(
                    Connection(timeout_secs=0.5, tls_roots=files.authority)
                )
            for connection in strangers:
                with (
                    RemoteSource(server.address, connection) as source,
                    pytest.raises(RequestError) as caught,
                ):
                    source.lookup("user", [10])
                assert caught.value.code in (
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                )


def test_four_servers_of_a_shard_each_answer_as_one_does(tmp_path: Path) -> None:
    write_bundle(tmp_path, num_shards=4)
    ids = [user_id(i) for i in range(6)] + [5]
    names = [f"t{i}" for i in range(5)] + ["unknown"]
    with (
        ServerForTest(tmp_path) as whole,
        ServerForTest(tmp_path, shards=(0, 1, 4)) as first,
        ServerForTest(tmp_path, shards=(1, 2, 4)) as second,
        ServerForTest(tmp_path, shards=(2, 3, 4)) as third,
        ServerForTest(tmp_path, shards=(3, 4, 4)) as fourth,
    ):
        # In any order.
        parts = [third.address, first.address, fourth.address, second.address]
        with RemoteSource(whole.address) as one, RemoteSource(parts) as four:
            for source in (one, four):
                assert source.describe().num_shards == 4
            groups: dict[str, Any] = {"user": ids, "tweet": names}
            for entity_type, expected in one.lookup_many(groups).items():
                found = four.lookup_many(groups)[entity_type]
                assert found.values.tobytes() == expected.values.tobytes()
                assert found.found.tolist() == expected.found.tolist()
            for arguments in (
                {"ids": ids, "relation": "likes", "k": 3},
                {"ids": ids, "k": 6},
                {"ids": ids, "relation": "likes", "k": 9, "exclude": ["t1", "t4"]},
                {"vectors": np.ones((2, 4), np.float32), "k": 4, "min_score": 1.5},
            ):
                expected_best = one.retrieve("user", **arguments)  # type: ignore[arg-type]
                best = four.retrieve("user", **arguments)  # type: ignore[arg-type]
                assert best.offsets.tolist() == expected_best.offsets.tolist()
                assert best.ids.tolist() == expected_best.ids.tolist()
                assert best.scores.tobytes() == expected_best.scores.tobytes()
            for lhs in (user_id(2), 5):
                expected_scores = one.score("likes", lhs, names).values
                scores = four.score("likes", lhs, names).values
                assert scores.tobytes() == expected_scores.tobytes()
            with four.open_stream() as stream:
                found = stream.lookup("user", ids)
                assert (
                    found.values.tobytes() == one.lookup("user", ids).values.tobytes()
                )
