# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Servers as a source of vectors, for threads."""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

import grpc
import numpy as np
import numpy.typing as npt

from twhin.client import channel, remote_requests
from twhin.client.bundle_info import BundleInfo
from twhin.client.channel import Connection
from twhin.client.lookup_stream import LookupStream
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
# How often a request is begun again since ids have moved to other servers.
_MAX_REROUTES = 3


class RemoteSource:
    """A `VectorSource` over one server, or several that share the shards.

    All methods raise `RequestError` where a server refuses or does not answer in
    time.
    """

    def __init__(
        self, addresses: str | Sequence[str], connection: Connection | None = None
    ) -> None:
        """Connects when the first request is made.

        Args:
          addresses: One entry for each server; replicas and worker ports of one
            server are joined by ','. See `make_target`.
          connection: How to reach them; None for the defaults.

        Raises:
          ConfigError: An address or file cannot be used.
        """
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
        self._shard_map: ShardMap | None = None

    def __enter__(self) -> "RemoteSource":
        """Returns self."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the source."""
        self.close()

    def describe(self) -> BundleInfo:
        """See `VectorSource`."""
        return self._refresh(self._deadline()).info

    def lookup(
        self, entity_type: str, ids: EntityIds, *, dtype: Dtype = "float32"
    ) -> Vectors:
        """See `VectorSource`."""
        return self.lookup_many({entity_type: ids}, dtype=dtype)[entity_type]

    def lookup_many(
        self, groups: Mapping[str, EntityIds], *, dtype: Dtype = "float32"
    ) -> dict[str, Vectors]:
        """See `VectorSource`."""
        return self._request(remote_requests.lookup(groups, dtype))

    def retrieve(
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
        return self._request(
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

    def score(self, relation: str, lhs: int | str, rhs: EntityIds) -> Scores:
        """See `VectorSource`."""
        return self._request(remote_requests.score(relation, lhs, rhs))

    def reload(self) -> None:
        """Has every server switch to its current version; needs `admin`."""
        calls = [
            Call(server=server, method="Reload", request=b"")
            for server in range(len(self._channels))
        ]
        self._make(Calls(calls=calls), self._deadline())
        self._refresh(self._deadline())

    def open_stream(self) -> LookupStream:
        """Returns a stream for a caller that makes one lookup after another."""
        shard_map = self._shard_map or self._refresh(self._deadline())
        return LookupStream(self._channels, shard_map, self._connection)

    def close(self) -> None:
        """Ends the connections; requests in flight fail."""
        for opened in self._channels:
            opened.close()

    def _open(self, addresses: str) -> grpc.Channel:
        target = channel.make_target(addresses)
        credentials = self._connection.credentials()
        options = self._connection.options()
        if credentials is None:
            return grpc.insecure_channel(target, options)
        return grpc.secure_channel(target, credentials, options)

    def _deadline(self) -> float:
        return time.monotonic() + self._connection.timeout_secs

    def _refresh(self, deadline: float) -> ShardMap:
        while True:
            infos = self._run(describe_steps(len(self._channels)), deadline)
            try:
                check_same_version([info.version for info in infos])
                self._shard_map = make_shard_map(infos)
                return self._shard_map
            except MixedVersionsError:
                if time.monotonic() + RETRY_SECS > deadline:
                    raise
                time.sleep(RETRY_SECS)

    def _request(self, make_steps: MakeSteps[T]) -> T:
        deadline = self._deadline()
        shard_map = self._shard_map or self._refresh(deadline)
        for attempt in itertools.count():
            try:
                return self._run(make_steps(shard_map), deadline)
            except MixedVersionsError:
                if time.monotonic() + RETRY_SECS > deadline:
                    raise
                time.sleep(RETRY_SECS)
            except RequestError as error:
                # Another version may have other types, shards or hash seeds.
                stale = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND)
                if error.code not in stale or attempt == _MAX_REROUTES:
                    raise
                version = shard_map.info.version
                shard_map = self._refresh(deadline)
                if shard_map.info.version == version:
                    raise
        raise AssertionError("count never ends")

    def _run(self, steps: Steps[T], deadline: float) -> T:
        try:
            calls = next(steps)
            while True:
                calls = steps.send(self._make(calls, deadline))
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _make(self, calls: Calls, deadline: float) -> list[bytes]:
        if calls.delay_secs:
            time.sleep(calls.delay_secs)
        try:
            if len(calls.calls) == 1:
                call = calls.calls[0]
                method = self._methods[call.server][call.method]
                answer = method(
                    call.request,
                    timeout=deadline - time.monotonic(),
                    metadata=self._metadata,
                )
                return [answer]
            return list(self._make_many(calls.calls, deadline))
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error

    def _make_many(self, calls: Sequence[Call], deadline: float) -> Iterator[bytes]:
        """Yields the answers in order, with a bounded number of calls ahead."""
        window = self._connection.max_in_flight * len(self._channels)
        futures: list[Any] = []
        try:
            for number in range(len(calls)):
                while len(futures) < min(number + window, len(calls)):
                    call = calls[len(futures)]
                    futures.append(
                        self._methods[call.server][call.method].future(
                            call.request,
                            timeout=deadline - time.monotonic(),
                            metadata=self._metadata,
                        )
                    )
                yield futures[number].result()
        except grpc.RpcError:
            for future in futures:
                future.cancel()
            raise
