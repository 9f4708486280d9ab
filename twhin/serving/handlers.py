# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What surrounds every method: admission, status codes, metrics, access log."""

import contextvars
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc

from twhin.serving.access import Access
from twhin.serving.limits import Limits
from twhin.serving.metrics import ServerMetrics
from twhin.serving.refusal_error import RefusalError, exhausted

_LOG = logging.getLogger(__name__)
_ACCESS_LOG = logging.getLogger("twhin.access")
_ARRIVAL: contextvars.ContextVar[float] = contextvars.ContextVar("arrival")

Request = TypeVar("Request")
# A method takes a request and returns its answer and the version it came from.
Method = Callable[[Any], tuple[Any, str]]


class MethodHandlers(grpc.GenericRpcHandler):
    """The methods of one service, by their names.

    gRPC calls `service` when a request arrives, and the handler that it returns
    when a thread is free, in the same `contextvars` context: the difference is
    the time in the queue.
    """

    def __init__(
        self,
        service_name: str,
        *,
        access: Access,
        limits: Limits,
        metrics: ServerMetrics,
    ) -> None:
        """Starts without methods.

        Args:
          service_name: The full name, "twhin.v1.EmbeddingService".
          access: Decides who may call.
          limits: The bounds on waiting and streams.
          metrics: Counts requests.
        """
        self._prefix = f"/{service_name}/"
        self._access = access
        self._limits = limits
        self._metrics = metrics
        self._handlers: dict[str, grpc.RpcMethodHandler] = {}
        self._num_streams = 0

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        """Notes the time of arrival and returns the method's handler."""
        _ARRIVAL.set(time.perf_counter())
        return self._handlers.get(handler_call_details.method)

    def add_unary(
        self,
        name: str,
        method: Method,
        *,
        permission: str,
        request_type: Any,
        serialize: Callable[[Any], bytes],
    ) -> None:
        """Adds a method with one request and one answer."""

        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            return self._answer(name, method, permission, request, context)

        self._handlers[self._prefix + name] = grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=request_type.FromString,
            response_serializer=serialize,
        )

    def add_stream(
        self,
        name: str,
        method: Method,
        *,
        permission: str,
        request_type: Any,
        serialize: Callable[[Any], bytes],
    ) -> None:
        """Adds a method that answers each request of a stream in order."""

        def handle(
            requests: Iterator[Any], context: grpc.ServicerContext
        ) -> Iterator[Any]:
            self._open_stream(context)
            try:
                for request in requests:
                    _ARRIVAL.set(time.perf_counter())
                    yield self._answer(name, method, permission, request, context)
            finally:
                self._num_streams -= 1

        self._handlers[self._prefix + name] = grpc.stream_stream_rpc_method_handler(
            handle,
            request_deserializer=request_type.FromString,
            response_serializer=serialize,
        )

    def _open_stream(self, context: grpc.ServicerContext) -> None:
        if self._num_streams >= self._limits.max_streams:
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"the server has {self._num_streams} open streams; allowed: "
                f"{self._limits.max_streams}",
            )
        self._num_streams += 1

    def _answer(
        self,
        name: str,
        method: Method,
        permission: str,
        request: Any,
        context: grpc.ServicerContext,
    ) -> Any:
        arrival = _ARRIVAL.get()
        version, code, message = "", grpc.StatusCode.OK, ""
        try:
            self._admit(arrival, permission, context)
            answer, version = method(request)
            return answer
        except RefusalError as refusal:
            code, message = refusal.code, refusal.message
        except Exception:
            _LOG.exception("event=internal_error method=%s", name)
            code, message = grpc.StatusCode.INTERNAL, "internal error"
        finally:
            self._record(name, code, version, time.perf_counter() - arrival)
        context.abort(code, message)
        raise AssertionError("abort raises")

    def _admit(
        self, arrival: float, permission: str, context: grpc.ServicerContext
    ) -> None:
        remaining = context.time_remaining()
        if remaining is not None and remaining <= 0:
            raise RefusalError(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                "the deadline passed before work began",
            )
        waited = time.perf_counter() - arrival
        if waited > self._limits.max_queue_secs:
            raise exhausted(
                f"the request waited {waited:.3f} s in the queue; allowed: "
                f"{self._limits.max_queue_secs} s"
            )
        self._access.check(context.invocation_metadata(), permission)

    def _record(
        self, name: str, code: grpc.StatusCode, version: str, secs: float
    ) -> None:
        self._metrics.requests.labels(name, code.name).inc()
        if code is grpc.StatusCode.OK:
            self._metrics.latency.labels(name, version).observe(secs)
        if _ACCESS_LOG.isEnabledFor(logging.INFO):
            entry = {
                "method": name,
                "code": code.name,
                "version": version,
                "secs": round(secs, 6),
            }
            _ACCESS_LOG.info("%s", json.dumps(entry))
