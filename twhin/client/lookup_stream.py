# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Lookups over one open stream per server: less time each than separate calls."""

import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

import grpc

from twhin.client import channel, remote_requests
from twhin.client.channel import Connection
from twhin.client.request_error import from_rpc_error
from twhin.client.results import Vectors
from twhin.client.shard_map import ShardMap
from twhin.client.source import Dtype, EntityIds
from twhin.client.steps import Calls

RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
MAX_ATTEMPTS = 5
BACKOFF_SECS = 0.05
# Requests that are sent ahead of their answers.
AHEAD = 4


class LookupStream:
    """For one caller that makes one lookup after another. Not thread-safe.

    A stream stays with one worker of a server. One that ends, because its server
    drains or is gone, is opened anew and the request is made again.
    """

    def __init__(
        self,
        channels: Sequence[grpc.Channel],
        shard_map: ShardMap,
        connection: Connection,
    ) -> None:
        """Opens the streams when they are needed.

        Args:
          channels: One for each server.
          shard_map: Where ids are.
          connection: The timeout of a lookup, and the token.
        """
        self._shard_map = shard_map
        self._timeout_secs = connection.timeout_secs
        self._streams = [_Stream(opened, connection) for opened in channels]

    def __enter__(self) -> "LookupStream":
        """Returns self."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the streams."""
        self.close()

    def lookup(
        self, entity_type: str, ids: EntityIds, *, dtype: Dtype = "float32"
    ) -> Vectors:
        """See `VectorSource.lookup`."""
        return self.lookup_many({entity_type: ids}, dtype=dtype)[entity_type]

    def lookup_many(
        self, groups: Mapping[str, EntityIds], *, dtype: Dtype = "float32"
    ) -> dict[str, Vectors]:
        """See `VectorSource.lookup_many`."""
        steps = remote_requests.lookup(groups, dtype)(self._shard_map)
        deadline = time.monotonic() + self._timeout_secs
        try:
            calls = next(steps)
            while True:
                calls = steps.send(self._make(calls, deadline))
        except StopIteration as stop:
            result: dict[str, Vectors] = stop.value
            return result

    def close(self) -> None:
        """Ends the streams."""
        for stream in self._streams:
            stream.close()

    def _make(self, calls: Calls, deadline: float) -> list[bytes]:
        if calls.delay_secs:
            time.sleep(calls.delay_secs)
        answers: list[bytes] = [b""] * len(calls.calls)
        places: dict[int, list[int]] = {}
        for place, call in enumerate(calls.calls):
            places.setdefault(call.server, []).append(place)
        for server, mine in places.items():
            requests = [calls.calls[place].request for place in mine]
            found = self._streams[server].exchange(requests, deadline)
            for place, answer in zip(mine, found, strict=True):
                answers[place] = answer
        return answers


class _Stream:
    """A stream to one server."""

    def __init__(self, opened: grpc.Channel, connection: Connection) -> None:
        self._method = opened.stream_stream(
            f"/{channel.SERVICE}/StreamLookup", None, None
        )
        self._metadata = connection.metadata()
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._call: Any = None

    def exchange(self, requests: Sequence[bytes], deadline: float) -> list[bytes]:
        """Returns the answers to requests, opening the stream again where it ends.

        Raises:
          RequestError: The server refuses, or does not answer in time.
        """
        backoff = BACKOFF_SECS
        for attempt in range(MAX_ATTEMPTS):
            try:
                return self._exchange(requests, deadline)
            except grpc.RpcError as error:
                self.close()
                final = attempt == MAX_ATTEMPTS - 1
                if error.code() not in RETRIED or final:
                    raise from_rpc_error(error) from error
                if time.monotonic() + backoff > deadline:
                    raise from_rpc_error(error) from error
                time.sleep(backoff)
                backoff *= 2
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Ends the stream."""
        if self._call is not None:
            self._requests.put(None)
            self._call.cancel()
            self._call = None

    def _exchange(self, requests: Sequence[bytes], deadline: float) -> list[bytes]:
        if self._call is None:
            self._requests = queue.SimpleQueue()
            self._call = self._method(
                _take_all(self._requests), metadata=self._metadata
            )
        answers: list[bytes] = []
        sent = 0
        while len(answers) < len(requests):
            while sent < min(len(answers) + AHEAD, len(requests)):
                self._requests.put(requests[sent])
                sent += 1
            answers.append(next(self._call))
        return answers


def _take_all(requests: "queue.SimpleQueue[bytes | None]") -> Iterator[bytes]:
    while (request := requests.get()) is not None:
        yield request
