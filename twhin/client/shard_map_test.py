# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of shard_map."""

import dataclasses

import numpy as np
import pytest

from twhin.bundle import id_hash
from twhin.client.bundle_info import BundleInfo, TableInfo
from twhin.client.shard_map import make_shard_map
from twhin.errors import ConfigError

_TABLE = TableInfo(
    num_rows=0,
    dim=1,
    row_format="float32",
    is_string=False,
    hash_seed=0,
    is_indexed=False,
)
_INFO = BundleInfo(
    version="v000001",
    tables={
        "user": _TABLE,
        "tweet": dataclasses.replace(_TABLE, is_string=True, hash_seed=3),
    },
    relations={},
    num_shards=4,
    first_shard=0,
    end_shard=4,
    max_ids=10,
    max_queries=10,
)


def _part(first: int, end: int) -> BundleInfo:
    return dataclasses.replace(_INFO, first_shard=first, end_shard=end)


def test_an_id_goes_to_the_server_of_its_shard() -> None:
    shard_map = make_shard_map([_part(2, 4), _part(0, 2)])
    ids = np.arange(1000)
    shards = id_hash.shards_of_keys(id_hash.int64_keys(ids), 4)

    servers = shard_map.servers("user", ids)

    assert np.array_equal(servers, np.where(shards >= 2, 0, 1))
    assert 400 < servers.sum() < 600
    assert shard_map.shard_order == [1, 0]


def test_a_string_is_routed_with_the_seed_of_its_table() -> None:
    shard_map = make_shard_map([_part(0, 1), _part(1, 4)])
    names = [f"t{i}" for i in range(100)]
    keys = id_hash.string_keys(id_hash.pack_strings(names), 3)

    servers = shard_map.servers("tweet", names)

    assert np.array_equal(servers, id_hash.shards_of_keys(keys, 4) >= 1)


def test_a_shard_on_no_server_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"no server has shards \[2\]"):
        make_shard_map([_part(0, 2), _part(3, 4)])


def test_a_shard_on_two_servers_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"addresses\[1\]: has shards 1 to 3 of 4"):
        make_shard_map([_part(0, 2), _part(1, 4)])
