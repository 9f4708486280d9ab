# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Servers as a source of vectors, for asyncio."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

import grpc
import numpy as np
import numpy.typing as npt

from twhin.client import channel, remote_requests
from twhin.client.async_lookup_stream import AsyncLookupStream
from twhin.client.bundle_info import BundleInfo
from twhin.client.channel import Connection
from twhin.client.remote_requests import MakeSteps
from twhin.client.request_error import RequestError, from_rpc_error
from twhin.client.results import Neighbors, Scores, Vectors
from twhin.client.shard_map import ShardMap, make_shard_map
from twhin.client.source import Dtype, EntityIds, SideName
from twhin.client.steps import (
    RETRY_SECS,
    Call,
    Calls,
    MixedVersionsError,
    Steps,
    check_same_version,
    describe_steps,
)

T = TypeVar("T")
_METHODS = ("Lookup", "Retrieve", "Score", "GetBundle", "Reload")
_MAX_REROUTES = 3


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
        self._channels = [self._open(entry) for entry in addresses]
        self._methods = [
            {
                name: opened.unary_unary(f"/{channel.SERVICE}/{name}", None, None)
                for name in _METHODS
            }
            for opened in self._channels
        ]
        window = self._connection.max_in_flight * len(self._channels)
        self._places = asyncio.Semaphore(window)
        self._shard_map: ShardMap | None = None

    async def __aenter__(self) -> "AsyncSource":
        """Returns self."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the source."""
        await self.close()

    async def describe(self) -> BundleInfo:
        """See `VectorSource`."""
        return (await self._refresh(self._deadline())).info

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
        return await self._request(remote_requests.lookup(groups, dtype))

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
        return await self._request(
            remote_requests.retrieve(
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
        )

    async def score(self, relation: str, lhs: int | str, rhs: EntityIds) -> Scores:
        """See `VectorSource`."""
        return await self._request(remote_requests.score(relation, lhs, rhs))

    async def open_stream(self) -> AsyncLookupStream:
        """Returns a stream for a task that makes one lookup after another."""
        shard_map = self._shard_map or await self._refresh(self._deadline())
        return AsyncLookupStream(self._channels, shard_map, self._connection)

    async def close(self) -> None:
        """Ends the connections; requests in flight fail."""
        for opened in self._channels:
            await opened.close(None)

    def _open(self, addresses: str) -> grpc.aio.Channel:
        target = channel.make_target(addresses)
        credentials = self._connection.credentials()
        options = self._connection.options()
        if credentials is None:
            return grpc.aio.insecure_channel(target, options)
        return grpc.aio.secure_channel(target, credentials, options)

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._connection.timeout_secs

    def _left(self, deadline: float) -> float:
        return deadline - asyncio.get_running_loop().time()

    async def _refresh(self, deadline: float) -> ShardMap:
        while True:
            infos = await self._run(describe_steps(len(self._channels)), deadline)
            try:
                check_same_version([info.version for info in infos])
                self._shard_map = make_shard_map(infos)
                return self._shard_map
            except MixedVersionsError:
                if self._left(deadline) < RETRY_SECS:
                    raise
                await asyncio.sleep(RETRY_SECS)

    async def _request(self, make_steps: MakeSteps[T]) -> T:
        deadline = self._deadline()
        shard_map = self._shard_map or await self._refresh(deadline)
        for attempt in itertools.count():
            try:
                return await self._run(make_steps(shard_map), deadline)
            except MixedVersionsError:
                if self._left(deadline) < RETRY_SECS:
                    raise
                await asyncio.sleep(RETRY_SECS)
            except RequestError as error:
                # Another version may have other types, shards or hash seeds.
                stale = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND)
                if error.code not in stale or attempt == _MAX_REROUTES:
                    raise
                version = shard_map.info.version
                shard_map = await self._refresh(deadline)
                if shard_map.info.version == version:
                    raise
        raise AssertionError("count never ends")

    async def _run(self, steps: Steps[T], deadline: float) -> T:
        try:
            calls = next(steps)
            while True:
                calls = steps.send(await self._make(calls, deadline))
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _make(self, calls: Calls, deadline: float) -> list[bytes]:
        if calls.delay_secs:
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
