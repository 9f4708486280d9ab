# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Servers as a source of vectors, for threads."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from twhin.client import channel, remote_requests
from twhin.client.bundle_info import BundleInfo
from twhin.client.channel import Connection
from twhin.client.lookup_stream import LookupStream
from twhin.client.request_error import RequestError, from_rpc_error, never_agreed
from twhin.client.results import Neighbors, Scores, Vectors
from twhin.client.routing import Routing
from twhin.client.source import Dtype, EntityIds, SideName
from twhin.client.steps import Call, Calls, Steps, T


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
        self._channels = [
            channel.open_channel(grpc, entry, self._connection) for entry in addresses
        ]
        self._methods = [channel.unary_methods(opened) for opened in self._channels]
        self._routing = Routing(len(self._channels))

    def __enter__(self) -> "RemoteSource":
        """Returns self."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the source."""
        self.close()

    def describe(self) -> BundleInfo:
        """See `VectorSource`."""
        return self._run(self._routing.refresh()).info

    def lookup(
        self, entity_type: str, ids: EntityIds, *, dtype: Dtype = "float32"
    ) -> Vectors:
        """See `VectorSource`."""
        return self.lookup_many({entity_type: ids}, dtype=dtype)[entity_type]

    def lookup_many(
        self, groups: Mapping[str, EntityIds], *, dtype: Dtype = "float32"
    ) -> dict[str, Vectors]:
        """See `VectorSource`."""
        make_steps = remote_requests.lookup(groups, dtype)
        return self._run(self._routing.request(make_steps))

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
        return self._run(self._routing.request(make_steps))

    def score(self, relation: str, lhs: int | str, rhs: EntityIds) -> Scores:
        """See `VectorSource`."""
        make_steps = remote_requests.score(relation, lhs, rhs)
        return self._run(self._routing.request(make_steps))

    def reload(self) -> None:
        """Has every server switch to its current version; needs `admin`."""
        calls = [
            Call(server=server, method="Reload", request=b"")
            for server in range(len(self._channels))
        ]
        self._make(Calls(calls=calls), self._deadline())
        self._run(self._routing.refresh())

    def open_stream(self) -> LookupStream:
        """Returns a stream for a caller that makes one lookup after another."""
        shard_map = self._run(self._routing.get())
        return LookupStream(self._channels, shard_map, self._connection)

    def close(self) -> None:
        """Ends the connections; requests in flight fail."""
        for opened in self._channels:
            opened.close()

    def _deadline(self) -> float:
        return time.monotonic() + self._connection.timeout_secs

    def _run(self, steps: Steps[T]) -> T:
        deadline = self._deadline()
        try:
            calls = next(steps)
            while True:
                try:
                    answers = self._make(calls, deadline)
                except RequestError as error:
                    calls = steps.throw(error)
                else:
                    calls = steps.send(answers)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _make(self, calls: Calls, deadline: float) -> list[bytes]:
        if calls.delay_secs:
            if deadline - time.monotonic() < calls.delay_secs:
                raise never_agreed()
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
