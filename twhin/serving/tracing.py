# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Spans of requests for OpenTelemetry, by choice.

Where they go, and which requests have one, is for the standard variables to say:
OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME and others.

Reference: https://opentelemetry.io/docs/specs/semconv/rpc/grpc
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def make_provider() -> TracerProvider:
    """Returns what sends spans, in a thread of its own; `shutdown` sends the rest."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class TracingInterceptor(grpc.ServerInterceptor):  # type: ignore[type-arg]
    """Gives each request of a service a span, a child of its caller's.

    The span has the method and the status code; a stream has one span.
    """

    def __init__(self, provider: TracerProvider, service_name: str) -> None:
        """Begins with no span.

        Args:
          provider: Where spans go.
          service_name: Whose requests are traced; others, of health checks, are not.
        """
        self._tracer = provider.get_tracer("twhin.serving")
        self._service_name = service_name

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: Any
    ) -> Any:
        """Returns the handler that the service has, within a span."""
        handler = continuation(handler_call_details)
        service, _, method = handler_call_details.method[1:].partition("/")
        if handler is None or service != self._service_name:
            return handler
        parent = propagate.extract(dict(handler_call_details.invocation_metadata))

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            with self._span(method, parent, context):
                return handler.unary_unary(request, context)

        def answer_stream(
            requests: Iterator[Any], context: grpc.ServicerContext
        ) -> Iterator[Any]:
            with self._span(method, parent, context):
                yield from handler.stream_stream(requests, context)

        if handler.unary_unary is not None:
            _keep_threads(handler.unary_unary, answer)
            return grpc.unary_unary_rpc_method_handler(
                answer, handler.request_deserializer, handler.response_serializer
            )
        _keep_threads(handler.stream_stream, answer_stream)
        return grpc.stream_stream_rpc_method_handler(
            answer_stream, handler.request_deserializer, handler.response_serializer
        )

    @contextlib.contextmanager
    def _span(self, method: str, parent: Any, context: Any) -> Iterator[None]:
        attributes = {
            "rpc.system": "grpc",
            "rpc.service": self._service_name,
            "rpc.method": method,
        }
        with self._tracer.start_as_current_span(
            f"{self._service_name}/{method}",
            context=parent,
            kind=trace.SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            finally:
                # None before a status is set.
                code = context.code() or grpc.StatusCode.OK
                span.set_attribute("rpc.grpc.status_code", code.value[0])
                if code is not grpc.StatusCode.OK:
                    span.set_status(trace.StatusCode.ERROR, code.name)


def _keep_threads(behaviour: Any, wrapped: Any) -> None:
    """Has gRPC call `wrapped` in the threads that `behaviour` asked for."""
    threads = getattr(behaviour, "experimental_thread_pool", None)
    if threads is not None:
        wrapped.experimental_thread_pool = threads
