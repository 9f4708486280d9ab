# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of retrieve_steps and lookup_steps: what is asked again, and merged."""

import dataclasses

import numpy as np
import pytest

from twhin.client.bundle_info import BundleInfo, TableInfo
from twhin.client.lookup_steps import lookup_steps
from twhin.client.retrieve_steps import RetrieveQuery, retrieve_steps
from twhin.client.shard_map import ShardMap, make_shard_map
from twhin.client.steps import MixedVersionsError
from twhin.v1 import embedding_service_pb2 as pb

_QUERY = RetrieveQuery(
    entity_type="user",
    ids=None,
    vectors=np.zeros((2, 1), np.float32),
    relation="",
    side="rhs",
    k=3,
    exclude=None,
    min_score=None,
    exact=False,
)


def _two_servers() -> ShardMap:
    table = TableInfo(
        num_rows=9,
        dim=1,
        row_format="float32",
        is_string=False,
        hash_seed=0,
        is_indexed=False,
    )
    info = BundleInfo(
        version="v000001",
        tables={"user": table},
        relations={},
        num_shards=2,
        first_shard=0,
        end_shard=1,
        max_ids=100,
        max_queries=10,
    )
    return make_shard_map([info, dataclasses.replace(info, first_shard=1, end_shard=2)])


def _answer(
    counts: list[int], ids: list[int], scores: list[float], version: str = "v000001"
) -> bytes:
    return pb.RetrieveResponse(
        counts=counts,
        ids=pb.EntityIds(int_ids=ids),
        scores=np.array(scores, "<f4").tobytes(),
        version=version,
    ).SerializeToString()


def _lookup_answer(num_ids: int, base: float, version: str) -> bytes:
    vectors = pb.Vectors(
        values=np.full(num_ids, base, "<f4").tobytes(),
        dim=1,
        dtype=pb.VECTOR_DTYPE_FLOAT32,
        found=b"\xff" * ((num_ids + 7) // 8),
    )
    response = pb.LookupResponse(groups=[vectors], version=version)
    return response.SerializeToString()


def test_the_best_of_all_servers_are_merged() -> None:
    steps = retrieve_steps(_two_servers(), _QUERY)
    calls = next(steps).calls
    assert [call.server for call in calls] == [0, 1]

    with pytest.raises(StopIteration) as stop:
        steps.send(
            [
                _answer([2, 1], [1, 2, 3], [5.0, 2.0, 7.0]),
                _answer([3, 0], [4, 5, 6], [5.0, 3.0, 2.0]),
            ]
        )

    best = stop.value.value
    assert best.offsets.tolist() == [0, 3, 4]
    # Equal scores: first those of the lower shard.
    assert best.ids.tolist() == [1, 4, 5, 3]
    assert best.scores.tolist() == [5.0, 5.0, 3.0, 7.0]


def test_answers_of_two_versions_are_not_merged() -> None:
    steps = retrieve_steps(_two_servers(), _QUERY)
    next(steps)

    with pytest.raises(MixedVersionsError, match="v000001"):
        steps.send(
            [_answer([0, 0], [], []), _answer([0, 0], [], [], version="v000002")]
        )


def test_a_server_that_is_behind_is_asked_again() -> None:
    ids = np.arange(8)
    steps = lookup_steps(_two_servers(), {"user": ids}, "float32")
    calls = next(steps).calls
    sizes = [
        len(pb.LookupRequest.FromString(c.request).groups[0].ids.int_ids) for c in calls
    ]
    assert sum(sizes) == 8

    again = steps.send(
        [
            _lookup_answer(sizes[0], 1.0, "v000001"),
            _lookup_answer(sizes[1], 2.0, "v000002"),
        ]
    )
    assert [call.server for call in again.calls] == [0]
    assert again.delay_secs > 0
    with pytest.raises(StopIteration) as stop:
        steps.send([_lookup_answer(sizes[0], 2.0, "v000002")])

    found = stop.value.value["user"]
    assert found.version == "v000002"
    assert found.values.tolist() == [[2.0]] * 8
