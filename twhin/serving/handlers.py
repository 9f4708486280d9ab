# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What surrounds every method: admission, status codes, metrics, access log."""

import contextlib
import contextvars
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from twhin.serving.access import Access
from twhin.serving.limits import Limits
from twhin.serving.metrics import ServerMetrics
from twhin.serving.refusal_error import RefusalError, exhausted
from twhin.serving.request_threads import RequestThreads

_LOG = logging.getLogger(__name__)
_ACCESS_LOG = logging.getLogger("twhin.access")
_ARRIVAL: contextvars.ContextVar[float] = contextvars.ContextVar("arrival")
NUM_AT_WORK = 2

# A method takes a request and returns its answer and the version it came from.
Method = Callable[[Any], tuple[Any, str]]


class MethodHandlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """The methods of one service, by their names.

    gRPC calls `service` when a request arrives, and the handler that it returns
    when a thread is free, in the same `contextvars` context: the difference is
    the time in the queue. Requests are parsed here, so that a malformed one gets
    its proper status, and after admission, so that a late one costs nothing.
    """

    def __init__(
        self,
        service_name: str,
        *,
        access: Access,
        limits: Limits,
        metrics: ServerMetrics,
        threads: RequestThreads,
    ) -> None:
        """Starts without methods.

        Args:
          service_name: The full name, "twhin.v1.EmbeddingService".
          access: Decides who may call.
          limits: The bounds on waiting and streams.
          metrics: Counts requests.
          threads: The server's threads.
        """
        self._prefix = f"/{service_name}/"
        self._access = access
        self._limits = limits
        self._metrics = metrics
        self._handlers: dict[str, tuple[Any, Any]] = {}
        self._threads = threads
        # Streams have threads of their own, which wait most of the time; one is
        # left to refuse more.
        self._refusal_threads = futures.ThreadPoolExecutor(1)
        self._stream_threads = futures.ThreadPoolExecutor(limits.max_streams + 1)
        self._stream_slots = threading.Semaphore(limits.max_streams)
        self._work_slots = threading.Semaphore(NUM_AT_WORK)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Notes the arrival and returns the method's handler, or its refusal."""
        entry = self._handlers.get(handler_call_details.method)
        if entry is None:
            return None
        handler, refusal = entry
        if refusal and self._threads.num_unfinished >= self._limits.max_concurrent:
            return refusal
        _ARRIVAL.set(time.perf_counter())
        return handler

    def add_unary(
        self,
        name: str,
        method: Method,
        *,
        permission: str,
        request_type: Any,
        serialize: Callable[[Any], bytes],
        is_slow: bool = False,
    ) -> None:
        """Adds a method with one request and one answer.

        Args:
          name: Its name in the service.
          method: Answers a request.
          permission: What a caller needs.
          request_type: The message class of the request.
          serialize: Turns the answer into bytes.
          is_slow: Whether it takes seconds; then it takes no place from others.
        """
        slots = contextlib.nullcontext() if is_slow else None
        answer = self._make_answer(name, method, permission, request_type, slots)
        handler = grpc.unary_unary_rpc_method_handler(
            answer, response_serializer=serialize
        )
        self._handlers[self._prefix + name] = handler, self._make_refusal(name)

    def add_stream(
        self,
        name: str,
        method: Method,
        *,
        permission: str,
        request_type: Any,
        serialize: Callable[[Any], bytes],
    ) -> None:
        """Adds a method that answers each request of a stream in order.

        A refusal ends the stream.
        """
        answer = self._make_answer(name, method, permission, request_type, None)

        def handle(
            requests: Iterator[bytes], context: grpc.ServicerContext
        ) -> Iterator[Any]:
            if not self._stream_slots.acquire(blocking=False):
                self._metrics.requests.labels(name, "RESOURCE_EXHAUSTED").inc()
                context.abort(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"the server has max_streams={self._limits.max_streams} open "
                    "streams; no more are allowed",
                )
            try:
                for request in requests:
                    _ARRIVAL.set(time.perf_counter())
                    yield answer(request, context)
            finally:
                self._stream_slots.release()

        handle.experimental_thread_pool = (  # type: ignore[attr-defined]
            self._stream_threads
        )
        handler = grpc.stream_stream_rpc_method_handler(
            handle, response_serializer=serialize
        )
        self._handlers[self._prefix + name] = handler, None

    def _make_refusal(self, name: str) -> Any:
        """Returns the handler for requests over the limit."""
        refused = self._metrics.requests.labels(name, "RESOURCE_EXHAUSTED")

        def refuse(request: bytes, context: grpc.ServicerContext) -> Any:
            refused.inc()
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"the server has max_concurrent={self._limits.max_concurrent} "
                "requests in work; no more are allowed",
            )

        # Not in the threads of those that are in work.
        refuse.experimental_thread_pool = (  # type: ignore[attr-defined]
            self._refusal_threads
        )
        return grpc.unary_unary_rpc_method_handler(refuse)

    def _make_answer(
        self,
        name: str,
        method: Method,
        permission: str,
        request_type: Any,
        slots: contextlib.AbstractContextManager[Any] | None,
    ) -> Callable[[bytes, grpc.ServicerContext], Any]:
        parse = request_type.FromString
        work_slots = self._work_slots if slots is None else slots
        answered = self._metrics.requests.labels(name, "OK")

        def answer(request: bytes, context: grpc.ServicerContext) -> Any:
            self._threads.note_work()
            arrival = _ARRIVAL.get()
            try:
                with work_slots:
                    self._admit(arrival, permission, context)
                    response, version = method(parse(request))
            except RefusalError as refusal:
                code, message = refusal.code, refusal.message
            except DecodeError:
                code = grpc.StatusCode.INVALID_ARGUMENT
                message = f"request: is no {request_type.__name__} message"
            except Exception:
                _LOG.exception("event=internal_error method=%s", name)
                code, message = grpc.StatusCode.INTERNAL, "internal error"
            else:
                answered.inc()
                secs = time.perf_counter() - arrival
                self._metrics.observe_latency(name, version, secs)
                _log_access(name, "OK", version, secs)
                self._threads.note_done()
                return response
            self._metrics.requests.labels(name, code.name).inc()
            _log_access(name, code.name, "", time.perf_counter() - arrival)
            context.abort(code, message)
            raise AssertionError("abort raises")

        return answer

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
                f"max_queue_secs={self._limits.max_queue_secs}"
            )
        self._access.check(context.invocation_metadata(), permission)


def _log_access(name: str, code: str, version: str, secs: float) -> None:
    if _ACCESS_LOG.isEnabledFor(logging.INFO):
        entry = {
            "method": name,
            "code": code,
            "version": version,
            "secs": round(secs, 6),
        }
        _ACCESS_LOG.info("%s", json.dumps(entry))
