# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Requests that find the servers of their ids, and find them again as they change."""

import grpc

from twhin.client.remote_requests import MakeSteps
from twhin.client.request_error import RequestError
from twhin.client.shard_map import ShardMap, make_shard_map
from twhin.client.steps import (
    RETRY_SECS,
    Calls,
    MixedVersionsError,
    Steps,
    T,
    check_same_version,
    describe_steps,
)

# How often a request is begun again since ids have moved to other servers.
_MAX_REROUTES = 3
# Another version may have other types, shards or hash seeds.
_STALE = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND)


class Routing:
    """Knows which server has which shard, once one has been asked.

    Attributes:
      num_servers: The number of servers.
      shard_map: What they told last; None before the first request.
    """

    def __init__(self, num_servers: int) -> None:
        """Knows nothing yet."""
        self.num_servers = num_servers
        self.shard_map: ShardMap | None = None

    def refresh(self) -> Steps[ShardMap]:
        """Returns what the servers tell now, all of one version."""
        while True:
            infos = yield from describe_steps(self.num_servers)
            try:
                check_same_version([info.version for info in infos])
            except MixedVersionsError:
                yield Calls(calls=[], delay_secs=RETRY_SECS)
            else:
                self.shard_map = make_shard_map(infos)
                return self.shard_map

    def get(self) -> Steps[ShardMap]:
        """Returns what is known, or asks."""
        return self.shard_map or (yield from self.refresh())

    def request(self, make_steps: MakeSteps[T]) -> Steps[T]:
        """Does the steps of a request, and again where another version gets it."""
        shard_map = yield from self.get()
        num_reroutes = 0
        while True:
            try:
                return (yield from make_steps(shard_map))
            except MixedVersionsError:
                yield Calls(calls=[], delay_secs=RETRY_SECS)
            except RequestError as error:
                if error.code not in _STALE or num_reroutes == _MAX_REROUTES:
                    raise
                num_reroutes += 1
                version = shard_map.info.version
                shard_map = yield from self.refresh()
                if shard_map.info.version == version:
                    raise
