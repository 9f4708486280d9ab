# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Lookups over one open stream per server: less time each than separate calls."""

import functools
import itertools
import queue
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from twhin.client import channel, remote_requests
from twhin.client.channel import Connection
from twhin.client.joined_batches import JoinedBatches, join_batches
from twhin.client.lookup_steps import lookup_steps
from twhin.client.request_error import from_rpc_error
from twhin.client.results import Vectors
from twhin.client.shard_map import ShardMap
from twhin.client.source import Dtype, EntityIds
from twhin.client.steps import Call, Calls, Steps

RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
MAX_ATTEMPTS = 5
BACKOFF_SECS = 0.05
# Requests that are sent to a server ahead of their answers.
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
        self._max_ahead = AHEAD * len(self._streams)

    def __enter__(self) -> "LookupStream":
        """Returns self."""
        return self

    def __exit__(self, *error: object) -> None:
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
        return self._finish(remote_requests.lookup(groups, dtype)(self._shard_map))

    def lookup_each(
        self,
        entity_type: str,
        batches: Iterable[EntityIds],
        *,
        dtype: Dtype = "float32",
    ) -> Generator[Vectors, None, None]:
        """Yields the vectors of one batch of ids after the other.

        Small batches travel together, and the next ones are asked for meanwhile,
        so that client, network and server work at the same time. Nothing else is
        to be asked of the stream until the last one is taken, or the iterator is
        closed.

        Args:
          entity_type: The entity type.
          batches: Each the ids of a lookup. They are taken some 60 batches or
            5,000 ids ahead of what is yielded.
          dtype: The type of the numbers.
        """
        check = functools.partial(
            remote_requests.check, self._shard_map.info, entity_type, where="ids"
        )
        begun: deque[_Begun] = deque()
        num_ahead = 0
        try:
            for joined in join_batches(batches, check):
                lookup = self._begin(entity_type, joined, dtype)
                while begun and num_ahead + len(lookup.calls) > self._max_ahead:
                    num_ahead -= len(begun[0].calls)
                    yield from self._finish_first(begun)
                if len(lookup.calls) > self._max_ahead:
                    lookup.answers = self._make(lookup.calls)
                else:
                    self._send(lookup.calls)
                num_ahead += len(lookup.calls)
                begun.append(lookup)
            while begun:
                yield from self._finish_first(begun)
        finally:
            if begun:
                self.close()

    def close(self) -> None:
        """Ends the streams."""
        for stream in self._streams:
            stream.close()

    def _begin(self, entity_type: str, joined: JoinedBatches, dtype: Dtype) -> "_Begun":
        steps = lookup_steps(self._shard_map, {entity_type: joined.ids}, dtype)
        return _Begun(joined=joined, steps=steps, calls=next(steps).calls)

    def _finish_first(self, begun: "deque[_Begun]") -> Iterator[Vectors]:
        first = begun.popleft()
        if first.answers is None:
            first.answers = self._receive(first.calls)
        try:
            more = first.steps.send(first.answers)
        except StopIteration as stop:
            found: dict[str, Vectors] = stop.value
        else:
            # Its further calls come after those that were sent already.
            for lookup in begun:
                if lookup.answers is None:
                    lookup.answers = self._receive(lookup.calls)
            found = self._finish(first.steps, more)
        (vectors,) = found.values()
        return first.joined.split(vectors)

    def _finish(
        self, steps: Steps[dict[str, Vectors]], calls: Calls | None = None
    ) -> dict[str, Vectors]:
        """Makes the calls of steps, or these and then further ones."""
        try:
            calls = calls or next(steps)
            while True:
                if calls.delay_secs:
                    time.sleep(calls.delay_secs)
                calls = steps.send(self._make(calls.calls))
        except StopIteration as stop:
            result: dict[str, Vectors] = stop.value
            return result

    def _make(self, calls: Sequence[Call]) -> list[bytes]:
        """Returns the answers to calls, of which only so many are ahead."""
        answers: list[bytes] = []
        for number, call in enumerate(calls):
            if number >= self._max_ahead:
                answers += self._receive([calls[len(answers)]])
            self._send([call])
        return answers + self._receive(calls[len(answers) :])

    def _send(self, calls: Sequence[Call]) -> None:
        for call in calls:
            self._streams[call.server].send(call.request)

    def _receive(self, calls: Sequence[Call]) -> list[bytes]:
        deadline = time.monotonic() + self._timeout_secs
        try:
            return [self._streams[call.server].receive(deadline) for call in calls]
        except BaseException:
            # The next lookup would get the answers that are still to come.
            self.close()
            raise


@dataclass(slots=True, kw_only=True)
class _Begun:
    """A lookup whose first calls have been made.

    Attributes:
      joined: What is looked up.
      steps: What is to be done with the answers.
      calls: The calls.
      answers: Their answers; None while they have not been read.
    """

    joined: JoinedBatches
    steps: Steps[dict[str, Vectors]]
    calls: Sequence[Call]
    answers: list[bytes] | None = None


class _Stream:
    """A stream to one server."""

    def __init__(self, opened: grpc.Channel, connection: Connection) -> None:
        self._method = opened.stream_stream(
            f"/{channel.SERVICE}/StreamLookup", None, None
        )
        self._metadata = connection.metadata()
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unanswered: deque[bytes] = deque()
        self._call: Any = None

    def send(self, request: bytes) -> None:
        """Sends a request; its answer comes after those of earlier ones."""
        self._unanswered.append(request)
        if self._call is not None:
            self._requests.put(request)

    def receive(self, deadline: float) -> bytes:
        """Returns the next answer, opening the stream again where it ends.

        Raises:
          RequestError: The server refuses, or does not answer in time.
        """
        backoff = BACKOFF_SECS
        for attempt in itertools.count(1):
            try:
                if self._call is None:
                    self._open()
                answer: bytes = next(self._call)
            except grpc.RpcError as error:
                self._end()
                final = attempt == MAX_ATTEMPTS or time.monotonic() + backoff > deadline
                if error.code() not in RETRIED or final:
                    self._unanswered.clear()
                    raise from_rpc_error(error) from error
                time.sleep(backoff)
                backoff *= 2
            else:
                self._unanswered.popleft()
                return answer
        raise AssertionError("count never ends")

    def close(self) -> None:
        """Ends the stream; what it has not answered is forgotten."""
        self._unanswered.clear()
        self._end()

    def _open(self) -> None:
        """Opens the stream and sends what has no answer yet."""
        self._requests = queue.SimpleQueue()
        for request in self._unanswered:
            self._requests.put(request)
        self._call = self._method(_take_all(self._requests), metadata=self._metadata)

    def _end(self) -> None:
        if self._call is not None:
            self._requests.put(None)
            self._call.cancel()
            self._call = None


def _take_all(requests: "queue.SimpleQueue[bytes | None]") -> Iterator[bytes]:
    while (request := requests.get()) is not None:
        yield request
