# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Which server holds which id."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twhin.bundle import id_hash
from twhin.client.bundle_info import BundleInfo
from twhin.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardMap:
    """Routes ids to servers.

    Attributes:
      info: What the servers have in common.
      server_of_shard: [num_shards] int64.
      num_servers: The number of servers.
    """

    info: BundleInfo
    server_of_shard: npt.NDArray[np.int64]
    num_servers: int

    @property
    def shard_order(self) -> list[int]:
        """The servers in the order of their shards, so of their rows."""
        return list(dict.fromkeys(self.server_of_shard.tolist()))

    def servers(self, entity_type: str, ids: Any) -> npt.NDArray[np.int64]:
        """Returns the server of each id; int64 [n].

        Args:
          entity_type: The entity type, which must be known.
          ids: int64 array or list of str, as the type has them.
        """
        table = self.info.tables[entity_type]
        if table.is_string:
            words = id_hash.pack_strings(ids)
            keys = id_hash.string_keys(words, table.hash_seed)
        else:
            keys = id_hash.int64_keys(ids)
        shards = id_hash.shards_of_keys(keys, self.info.num_shards)
        return self.server_of_shard.take(shards)


def make_shard_map(infos: Sequence[BundleInfo]) -> ShardMap:
    """Returns the map of servers that together hold every shard once.

    Args:
      infos: What each server told; all of one version.

    Raises:
      ConfigError: A shard is on no server, or on two.
    """
    num_shards = infos[0].num_shards
    owners = np.full(num_shards, -1, np.int64)
    for server, info in enumerate(infos):
        part = slice(info.first_shard, info.end_shard)
        if info.num_shards != num_shards or (owners[part] >= 0).any():
            raise ConfigError(
                f"addresses[{server}]: has shards {info.first_shard} to "
                f"{info.end_shard - 1} of {info.num_shards}, and another has too; "
                f"allowed: each of {num_shards} shards on one server, replicas "
                "joined by ','"
            )
        owners[part] = server
    if (owners < 0).any():
        missing = np.flatnonzero(owners < 0).tolist()
        raise ConfigError(f"addresses: no server has shards {missing}; all are needed")
    return ShardMap(info=infos[0], server_of_shard=owners, num_servers=len(infos))
