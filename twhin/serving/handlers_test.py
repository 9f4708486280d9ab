# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of handlers, over a real gRPC server in this process."""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from twhin.serving.access import Access, OpenAccess, load_access
from twhin.serving.handlers import MethodHandlers
from twhin.serving.limits import Limits
from twhin.serving.refusal_error import invalid
from twhin.serving.request_threads import RequestThreads
from twhin.testing.served_bundle import make_metrics
from twhin.v1 import embedding_service_pb2 as pb

_PATH = "/test.Service/"


class _Server:
    """A server whose methods "Call" and "Stream" run `behavior`."""

    def __init__(
        self,
        behavior: Callable[[pb.LookupRequest], str],
        limits: Limits,
        access: Access,
    ) -> None:
        metrics, self.registry = make_metrics()
        threads = RequestThreads(2, 8)
        handlers = MethodHandlers(
            "test.Service",
            access=access,
            limits=limits,
            metrics=metrics,
            threads=threads,
        )
        for add, name in (
            (handlers.add_unary, "Call"),
            (handlers.add_stream, "Stream"),
        ):
            add(
                name,
                lambda request: (behavior(request).encode(), "v000007"),
                permission="lookup",
                request_type=pb.LookupRequest,
                serialize=bytes,
            )
        self._server = grpc.server(threads)  # type: ignore[arg-type]
        self._server.add_generic_rpc_handlers((handlers,))
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.call: Any = self.channel.unary_unary(_PATH + "Call", None, None)
        self.stream: Any = self.channel.stream_stream(_PATH + "Stream", None, None)

    def close(self) -> None:
        """Ends the server."""
        self.channel.close()
        self._server.stop(0).wait()


MakeServer = Callable[..., _Server]


@pytest.fixture(name="make")
def _make() -> Iterator[MakeServer]:
    servers = []

    def make(
        behavior: Callable[[pb.LookupRequest], str],
        limits: Limits | None = None,
        access: Access | None = None,
    ) -> _Server:
        server = _Server(behavior, limits or Limits(), access or OpenAccess())
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.close()


class _HeldWork:
    """Work that does not end before it is released.

    Attributes:
      begun: The versions of the requests that are or were in work.
      release: Set to let them end.
    """

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.release = threading.Event()

    def __call__(self, request: pb.LookupRequest) -> str:
        """Waits."""
        self.begun.append(request.version)
        self.release.wait(5)
        return ""

    def occupy(self, server: _Server) -> list[Any]:
        """Takes both threads of a server; returns the calls that hold them."""
        busy = [server.call.future(_request("busy"), timeout=10) for _ in range(2)]
        while len(self.begun) < 2:
            time.sleep(0.01)
        return busy


def _request(version: str = "") -> bytes:
    return pb.LookupRequest(version=version).SerializeToString()


def _refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code().name, caught.value.details() or ""


def _count(
    registry: CollectorRegistry, code: str, method: str = "Call"
) -> float | None:
    return registry.get_sample_value(
        "twhin_requests_total", {"method": method, "code": code}
    )


def test_an_answer_is_counted_with_its_time(make: MakeServer) -> None:
    server = make(lambda request: request.version * 2)

    assert server.call(_request("ab"), timeout=5) == b"abab"

    assert _count(server.registry, "OK") == 1
    labels = {"method": "Call", "version": "v000007"}
    value = server.registry.get_sample_value("twhin_request_seconds_count", labels)
    assert value == 1


def test_a_refusal_has_its_status_and_message(make: MakeServer) -> None:
    def refuse(request: pb.LookupRequest) -> str:
        raise invalid("k: is 0; allowed: at least 1")

    server = make(refuse)

    status = _refusal(lambda: server.call(_request(), timeout=5))

    assert status == ("INVALID_ARGUMENT", "k: is 0; allowed: at least 1")
    assert _count(server.registry, "INVALID_ARGUMENT") == 1


def test_a_bug_shows_nothing_of_itself(
    make: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(request: pb.LookupRequest) -> str:
        raise OSError("/secret/path")

    server = make(fail)

    status = _refusal(lambda: server.call(_request(), timeout=5))

    assert status == ("INTERNAL", "internal error")
    assert "/secret/path" in caplog.text


@pytest.mark.parametrize("garbage", [b"\xff", b"\x0a\x05abc", b"\x1a\x02\xff\xfe"])
def test_bytes_that_are_no_message_are_invalid(
    make: MakeServer, garbage: bytes
) -> None:
    server = make(lambda request: "")

    status = _refusal(lambda: server.call(garbage, timeout=5))

    assert status == ("INVALID_ARGUMENT", "request: is no LookupRequest message")


def test_an_unknown_method_is_unimplemented(make: MakeServer) -> None:
    server = make(lambda request: "")
    other = server.channel.unary_unary(_PATH + "Other", None, None)

    assert _refusal(lambda: other(b"", timeout=5))[0] == "UNIMPLEMENTED"


def test_no_work_is_done_for_a_caller_who_has_given_up(make: MakeServer) -> None:
    work = _HeldWork()
    server = make(work, Limits(max_queue_secs=10.0))
    busy = work.occupy(server)
    late = server.call.future(_request("late"), timeout=0.1)

    assert late.exception(5).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    work.release.set()
    for call in busy:
        call.result(5)
    assert server.call(_request("next"), timeout=5) == b""
    assert work.begun == ["busy", "busy", "next"]


def test_waiting_too_long_is_refused_with_the_limit(make: MakeServer) -> None:
    work = _HeldWork()
    server = make(work, Limits(max_queue_secs=0.05))
    work.occupy(server)
    late = server.call.future(_request(), timeout=10)
    time.sleep(0.2)
    work.release.set()

    error = late.exception(5)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "in the queue; allowed: max_queue_secs=0.05" in error.details()


def test_too_many_at_once_are_refused_with_the_limit(make: MakeServer) -> None:
    work = _HeldWork()
    server = make(work, Limits(max_concurrent=2))
    busy = work.occupy(server)

    status = _refusal(lambda: server.call(_request(), timeout=5))

    assert status == (
        "RESOURCE_EXHAUSTED",
        "the server has max_concurrent=2 requests in work; no more are allowed",
    )
    assert _count(server.registry, "RESOURCE_EXHAUSTED") == 1
    work.release.set()
    assert [call.result(5) for call in busy] == [b"", b""]
    # A caller who has an answer may ask again at once.
    assert [server.call(_request(), timeout=5) for _ in range(50)] == [b""] * 50


def test_callers_who_send_nothing_do_not_stop_others(make: MakeServer) -> None:
    server = make(lambda request: "")
    # A stream-unary call on a unary method opens it without its message.
    opened = server.channel.stream_unary(_PATH + "Call", None, None)
    release = threading.Event()

    def nothing() -> Iterator[bytes]:
        release.wait(10)
        yield _request()

    silent = [opened.future(nothing(), timeout=10) for _ in range(4)]
    time.sleep(0.1)

    assert server.call(_request(), timeout=5) == b""
    release.set()
    assert [call.result(5) for call in silent] == [b""] * 4


def test_a_stream_is_answered_in_order(make: MakeServer) -> None:
    server = make(lambda request: request.version)

    answers = server.stream(iter([_request(str(i)) for i in range(5)]), timeout=5)

    assert list(answers) == [b"0", b"1", b"2", b"3", b"4"]


def test_a_refusal_ends_the_stream(make: MakeServer) -> None:
    server = make(lambda request: request.version)

    answers = server.stream(iter([_request("a"), b"\xff", _request("b")]), timeout=5)

    assert next(answers) == b"a"
    assert _refusal(lambda: next(answers))[0] == "INVALID_ARGUMENT"


def test_open_streams_are_bounded_and_come_free(make: MakeServer) -> None:
    server = make(lambda request: "", Limits(max_streams=1))
    release = threading.Event()

    def requests() -> Iterator[bytes]:
        yield _request()
        release.wait(10)

    first = server.stream(requests(), timeout=10)
    next(first)
    # Its thread waits with it: the pool of streams has one more for refusals.
    status = _refusal(lambda: next(server.stream(iter([_request()]), timeout=5)))
    assert status[0] == "RESOURCE_EXHAUSTED"
    assert "max_streams=1" in status[1]

    release.set()
    assert list(first) == []
    assert list(server.stream(iter([_request()]), timeout=5)) == [b""]


def test_tokens_are_asked_for_each_request(make: MakeServer, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"secret").hexdigest()
    entry = {"name": "a", "sha256": digest, "permissions": ["lookup"]}
    (tmp_path / "tokens").write_text(json.dumps({"tokens": [entry]}))
    server = make(lambda request: "", access=load_access(tmp_path / "tokens", 1))
    metadata = [("authorization", "Bearer secret")]

    assert server.call(_request(), timeout=5, metadata=metadata) == b""
    status = _refusal(lambda: server.call(_request(), timeout=5))
    assert status[0] == "UNAUTHENTICATED"
    answers = server.stream(iter([_request()]), timeout=5)
    assert _refusal(lambda: next(answers))[0] == "UNAUTHENTICATED"


def test_the_access_log_is_json(
    make: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "twhin.access")
    server = make(lambda request: "")

    server.call(_request(), timeout=5)

    (record,) = [r for r in caplog.records if r.name == "twhin.access"]
    entry = json.loads(record.getMessage())
    assert (entry["method"], entry["code"]) == ("Call", "OK")
    assert entry["version"] == "v000007"
    assert 0 <= entry["secs"] < 5
