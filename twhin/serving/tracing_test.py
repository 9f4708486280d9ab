# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Sends requests to a server that sends its spans to a collector."""

import queue
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import (
    trace_service_pb2,
    trace_service_pb2_grpc,
)

from twhin.client.remote_source import RemoteSource
from twhin.testing.served_bundle import write_bundle
from twhin.testing.server_process import ServerForTest

_SERVICE = "twhin.v1.EmbeddingService"
_TRACE, _SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class _Collector(trace_service_pb2_grpc.TraceServiceServicer):  # type: ignore[misc]
    def __init__(self) -> None:
        self.spans: queue.Queue[Any] = queue.Queue()

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.put(span)
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture(name="collector")
def _collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Collector]:
    collector = _Collector()
    server = grpc.server(futures.ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    yield collector
    server.stop(None).wait()


def test_requests_have_spans_with_their_caller_and_their_status(
    tmp_path: Path, collector: _Collector
) -> None:
    write_bundle(tmp_path, num_shards=1)
    parent = (("traceparent", f"00-{_TRACE}-{_SPAN}-01"),)

    with ServerForTest(tmp_path, trace=True, num_workers=1) as server:
        with grpc.insecure_channel(server.address) as channel:
            lookup: Any = channel.unary_unary(f"/{_SERVICE}/Lookup", None, None)
            with pytest.raises(grpc.RpcError):
                lookup(b"\xff", metadata=parent, timeout=10)
        with RemoteSource(server.address) as source:
            source.lookup("user", [1])
            with source.open_stream() as stream:
                stream.lookup("user", [1])
        server.stop()
        spans = [collector.spans.get(timeout=10) for _ in range(4)]
    found = {(span.name, _status(span)): span for span in spans}

    refused = found[f"{_SERVICE}/Lookup", grpc.StatusCode.INVALID_ARGUMENT.value[0]]
    assert (refused.trace_id.hex(), refused.parent_span_id.hex()) == (_TRACE, _SPAN)
    assert set(found) == {
        (f"{_SERVICE}/Lookup", grpc.StatusCode.INVALID_ARGUMENT.value[0]),
        (f"{_SERVICE}/GetBundle", 0),
        (f"{_SERVICE}/Lookup", 0),
        (f"{_SERVICE}/StreamLookup", 0),
    }
    assert collector.spans.empty()


def _status(span: Any) -> int:
    (code,) = [a.value for a in span.attributes if a.key == "rpc.grpc.status_code"]
    number: int = code.int_value
    return number
