# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Servers as a source of vectors, for asyncio."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from twhin.client import channel, remote_requests
from twhin.client.async_lookup_stream import AsyncLookupStream
from twhin.client.bundle_info import BundleInfo
from twhin.client.channel import Connection
from twhin.client.request_error import RequestError, from_rpc_error, never_agreed
from twhin.client.results import Neighbors, Scores, Vectors
from twhin.client.routing import Routing
from twhin.client.source import Dtype, EntityIds, SideName
from twhin.client.steps import Call, Calls, Steps, T


class AsyncSource:
    """`RemoteSource` with coroutines; made and used within one event loop."""

    def __init__(
        self, addresses: str | Sequence[str], connection: Connection | None = None
    ) -> None:
        """See `RemoteSource`."""
        self._connection = connection or Connection()
        self._metadata = self._connection.metadata()
        if isinstance(addresses, str):
            addresses = [addresses]
        self._channels = [
            channel.open_channel(grpc.aio, entry, self._connection)
            for entry in addresses
        ]
        self._methods = [channel.unary_methods(opened) for opened in self._channels]
        window = self._connection.max_in_flight * len(self._channels)
        self._places = asyncio.Semaphore(window)
        self._routing = Routing(len(self._channels))

    async def __aenter__(self) -> "AsyncSource":
        """Returns self."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Closes the source."""
        await self.close()

    async def describe(self) -> BundleInfo:
        """See `VectorSource`."""
        return (await self._run(self._routing.refresh())).info

    async def lookup(
        self, entity_type: str, ids: EntityIds, *, dtype: Dtype = "float32"
    ) -> Vectors:
        """See `VectorSource`."""
        found = await self.lookup_many({entity_type: ids}, dtype=dtype)
        return found[entity_type]

    async def lookup_many(
        self, groups: Mapping[str, EntityIds], *, dtype: Dtype = "float32"
    ) -> dict[str, Vectors]:
        """See `VectorSource`."""
        make_steps = remote_requests.lookup(groups, dtype)
        return await self._run(self._routing.request(make_steps))

    async def retrieve(
        self,
        entity_type: str,
        ids: EntityIds | None = None,
        *,
        vectors: npt.NDArray[np.floating[Any]] | None = None,
        relation: str | None = None,
        side: SideName = "rhs",
        k: int,
        exclude: EntityIds | None = None,
        min_score: float | None = None,
        exact: bool = False,
    ) -> Neighbors:
        """See `VectorSource`."""
        make_steps = remote_requests.retrieve(
            entity_type,
            ids,
            vectors=vectors,
            relation=relation,
            side=side,
            k=k,
            exclude=exclude,
            min_score=min_score,
            exact=exact,
        )
        return await self._run(self._routing.request(make_steps))

    async def score(self, relation: str, lhs: int | str, rhs: EntityIds) -> Scores:
        """See `VectorSource`."""
        make_steps = remote_requests.score(relation, lhs, rhs)
        return await self._run(self._routing.request(make_steps))

    async def open_stream(self) -> AsyncLookupStream:
        """Returns a stream for a task that makes one lookup after another."""
        shard_map = await self._run(self._routing.get())
        return AsyncLookupStream(self._channels, shard_map, self._connection)

    async def close(self) -> None:
        """Ends the connections; requests in flight fail."""
        for opened in self._channels:
            await opened.close(None)

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._connection.timeout_secs

    def _left(self, deadline: float) -> float:
        return deadline - asyncio.get_running_loop().time()

    async def _run(self, steps: Steps[T]) -> T:
        deadline = self._deadline()
        try:
            calls = next(steps)
            while True:
                try:
                    answers = await self._make(calls, deadline)
                except RequestError as error:
                    calls = steps.throw(error)
                else:
                    calls = steps.send(answers)
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _make(self, calls: Calls, deadline: float) -> list[bytes]:
        if calls.delay_secs:
            if self._left(deadline) < calls.delay_secs:
                raise never_agreed()
            await asyncio.sleep(calls.delay_secs)
        try:
            if len(calls.calls) == 1:
                return [await self._call(calls.calls[0], deadline)]
            return await self._make_many(calls.calls, deadline)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    async def _make_many(self, calls: Sequence[Call], deadline: float) -> list[bytes]:
        async def make(call: Call) -> bytes:
            async with self._places:
                return await self._call(call, deadline)

        tasks = [asyncio.ensure_future(make(call)) for call in calls]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def _call(self, call: Call, deadline: float) -> bytes:
        answer: bytes = await self._methods[call.server][call.method](
            call.request, timeout=self._left(deadline), metadata=self._metadata
        )
        return answer
