# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""`LookupStream` for asyncio."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import grpc

from twhin.client import channel, remote_requests
from twhin.client.channel import Connection
from twhin.client.lookup_stream import AHEAD, BACKOFF_SECS, MAX_ATTEMPTS, RETRIED
from twhin.client.request_error import RequestError, from_rpc_error
from twhin.client.results import Vectors
from twhin.client.shard_map import ShardMap
from twhin.client.source import Dtype, EntityIds
from twhin.client.steps import Calls


class AsyncLookupStream:
    """For one task that makes one lookup after another."""

    def __init__(
        self,
        channels: Sequence[grpc.aio.Channel],
        shard_map: ShardMap,
        connection: Connection,
    ) -> None:
        """See `LookupStream`."""
        self._shard_map = shard_map
        self._timeout_secs = connection.timeout_secs
        self._streams = [_Stream(opened, connection) for opened in channels]

    async def __aenter__(self) -> "AsyncLookupStream":
        """Returns self."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Ends the streams."""
        self.close()

    async def lookup(
        self, entity_type: str, ids: EntityIds, *, dtype: Dtype = "float32"
    ) -> Vectors:
        """See `VectorSource.lookup`."""
        found = await self.lookup_many({entity_type: ids}, dtype=dtype)
        return found[entity_type]

    async def lookup_many(
        self, groups: Mapping[str, EntityIds], *, dtype: Dtype = "float32"
    ) -> dict[str, Vectors]:
        """See `VectorSource.lookup_many`."""
        steps = remote_requests.lookup(groups, dtype)(self._shard_map)
        deadline = asyncio.get_running_loop().time() + self._timeout_secs
        try:
            calls = next(steps)
            while True:
                calls = steps.send(await self._make(calls, deadline))
        except StopIteration as stop:
            result: dict[str, Vectors] = stop.value
            return result

    def close(self) -> None:
        """Ends the streams."""
        for stream in self._streams:
            stream.close()

    async def _make(self, calls: Calls, deadline: float) -> list[bytes]:
        if calls.delay_secs:
            await asyncio.sleep(calls.delay_secs)
        places: dict[int, list[int]] = {}
        for place, call in enumerate(calls.calls):
            places.setdefault(call.server, []).append(place)
        if len(places) == 1:
            (server,) = places
            requests = [call.request for call in calls.calls]
            return await self._streams[server].exchange(requests, deadline)
        found = await asyncio.gather(
            *(
                self._streams[server].exchange(
                    [calls.calls[place].request for place in mine], deadline
                )
                for server, mine in places.items()
            )
        )
        answers: list[bytes] = [b""] * len(calls.calls)
        for mine, part in zip(places.values(), found, strict=True):
            for place, answer in zip(mine, part, strict=True):
                answers[place] = answer
        return answers


class _Stream:
    """A stream to one server."""

    def __init__(self, opened: grpc.aio.Channel, connection: Connection) -> None:
        self._method: Any = opened.stream_stream(
            f"/{channel.SERVICE}/StreamLookup", None, None
        )
        self._metadata = connection.metadata()
        self._call: Any = None

    async def exchange(self, requests: Sequence[bytes], deadline: float) -> list[bytes]:
        """Returns the answers to requests, opening the stream again where it ends.

        Raises:
          RequestError: The server refuses, or does not answer in time.
        """
        loop = asyncio.get_running_loop()
        backoff = BACKOFF_SECS
        for attempt in range(MAX_ATTEMPTS):
            try:
                return await self._exchange(requests)
            except (grpc.RpcError, RequestError) as error:
                self.close()
                failure = (
                    error if isinstance(error, RequestError) else from_rpc_error(error)
                )
                final = attempt == MAX_ATTEMPTS - 1
                late = loop.time() + backoff > deadline
                if failure.code not in RETRIED or final or late:
                    raise failure from error
                await asyncio.sleep(backoff)
                backoff *= 2
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Ends the stream."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    async def _exchange(self, requests: Sequence[bytes]) -> list[bytes]:
        if self._call is None:
            self._call = self._method(metadata=self._metadata)
        answers: list[bytes] = []
        sent = 0
        while len(answers) < len(requests):
            while sent < min(len(answers) + AHEAD, len(requests)):
                await self._write(requests[sent])
                sent += 1
            answer = await self._call.read()
            if not isinstance(answer, bytes):
                # The end of the stream, which has its status.
                raise RequestError(
                    await self._call.code(), await self._call.details() or ""
                )
            answers.append(answer)
        return answers

    async def _write(self, request: bytes) -> None:
        try:
            await self._call.write(request)
        except (grpc.RpcError, asyncio.InvalidStateError) as error:
            # gRPC says INTERNAL of a write into a stream that has ended; why it
            # ended is the call's status, where there is one.
            code = await self._call.code()
            if code in (grpc.StatusCode.OK, grpc.StatusCode.INTERNAL):
                code = grpc.StatusCode.UNAVAILABLE
            details = await self._call.details() or "the stream has ended"
            raise RequestError(code, details) from error
