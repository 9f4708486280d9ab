# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of lookup."""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from twhin.serving.limits import Limits
from twhin.serving.live_bundle import ServedBundle
from twhin.serving.lookup import answer_lookup
from twhin.serving.refusal_error import RefusalError
from twhin.testing.served_bundle import (
    DIM,
    make_metrics,
    open_live,
    vector,
    write_bundle,
)
from twhin.v1 import embedding_service_pb2 as pb


@pytest.fixture(name="served")
def _served(tmp_path: Path) -> ServedBundle:
    write_bundle(tmp_path)
    return open_live(tmp_path)[0].get()


def _group(entity_type: str, ids: list[Any]) -> pb.LookupGroup:
    kind = "string_ids" if ids and isinstance(ids[0], str) else "int_ids"
    return pb.LookupGroup(entity_type=entity_type, ids=pb.EntityIds(**{kind: ids}))


def _answer(
    served: ServedBundle, *groups: pb.LookupGroup, max_ids: int = 100, **fields: Any
) -> pb.LookupResponse:
    request = pb.LookupRequest(groups=groups, **fields)
    metrics, _ = make_metrics()
    answer = answer_lookup(request, served, Limits(max_ids=max_ids), metrics)
    return pb.LookupResponse.FromString(answer)


def _values(vectors: pb.Vectors, dtype: str = "<f4") -> list[list[float]]:
    values: list[list[float]] = (
        np.frombuffer(vectors.values, dtype).reshape(-1, vectors.dim).tolist()
    )
    return values


def test_vectors_come_in_the_order_of_the_ids(served: ServedBundle) -> None:
    answer = _answer(served, _group("user", [30, 10, 30]))

    assert _values(answer.groups[0]) == [vector(2), vector(0), vector(2)]
    assert answer.groups[0].found == b"\x07"
    assert answer.version == "v000001"


def test_an_unknown_id_gives_zeros_and_a_zero_bit(served: ServedBundle) -> None:
    answer = _answer(served, _group("tweet", ["t1", "unknown", "t2", ""]))

    zeros = [0.0] * DIM
    assert _values(answer.groups[0]) == [vector(1), zeros, vector(2), zeros]
    assert answer.groups[0].found == b"\x05"


def test_several_types_are_answered_at_once(served: ServedBundle) -> None:
    answer = _answer(served, _group("tweet", ["t4"]), _group("user", [60]))

    assert [_values(group) for group in answer.groups] == [[vector(4)], [vector(5)]]


def test_float16_is_half_the_bytes(served: ServedBundle) -> None:
    answer = _answer(served, _group("user", [20]), dtype=pb.VECTOR_DTYPE_FLOAT16)

    assert len(answer.groups[0].values) == 2 * DIM
    assert _values(answer.groups[0], "<f2") == [vector(1)]
    assert answer.groups[0].dtype == pb.VECTOR_DTYPE_FLOAT16


def test_a_group_may_be_empty(served: ServedBundle) -> None:
    answer = _answer(served, _group("user", []))

    assert answer.groups[0].values == b""
    assert answer.groups[0].dim == DIM


@pytest.mark.parametrize(
    ("groups", "fields", "code", "message"),
    [
        ([], {}, "INVALID_ARGUMENT", "groups: is empty; allowed: at least 1"),
        (
            [_group("usr", [10])],
            {},
            "NOT_FOUND",
            "groups[0].entity_type: unknown entity type 'usr'; known: "
            "['tweet', 'user']; did you mean 'user'?",
        ),
        (
            [_group("user", [10]), _group("user", [20])],
            {},
            "INVALID_ARGUMENT",
            "groups[1].entity_type: 'user' is repeated; allowed: once",
        ),
        (
            [_group("user", ["a"])],
            {},
            "INVALID_ARGUMENT",
            "groups[0].ids: has ids of the wrong type; allowed: int_ids",
        ),
        (
            [_group("user", [1, 2, 3]), _group("tweet", ["a", "b"])],
            {},
            "INVALID_ARGUMENT",
            "groups[1].ids: has 2 ids; allowed: at most 1",
        ),
        (
            [_group("user", [10])],
            {"version": "v000009"},
            "FAILED_PRECONDITION",
            "version: is 'v000009'; allowed: 'v000001', the one being served",
        ),
        (
            [_group("user", [10])],
            {"dtype": 7},
            "INVALID_ARGUMENT",
            "dtype: is 7; allowed: VECTOR_DTYPE_FLOAT32, VECTOR_DTYPE_FLOAT16",
        ),
    ],
)
def test_bad_requests_are_refused(
    served: ServedBundle,
    groups: list[pb.LookupGroup],
    fields: dict[str, Any],
    code: str,
    message: str,
) -> None:
    with pytest.raises(RefusalError) as caught:
        _answer(served, *groups, max_ids=4, **fields)

    assert caught.value.code is grpc.StatusCode[code]
    assert caught.value.message == message


def test_rows_and_misses_are_counted(served: ServedBundle) -> None:
    metrics, registry = make_metrics()
    request = pb.LookupRequest(groups=[_group("user", [10, 11, 12])])

    answer_lookup(request, served, Limits(), metrics)

    labels = {"entity_type": "user"}
    assert registry.get_sample_value("twhin_rows_total", labels) == 3
    assert registry.get_sample_value("twhin_misses_total", labels) == 2


def test_an_id_of_another_shard_is_no_miss(tmp_path: Path) -> None:
    write_bundle(tmp_path, num_shards=2)
    halves = [open_live(tmp_path, (i, i + 1, 2))[0].get() for i in range(2)]
    owner = [
        half.bundle.holds("user", half.bundle.find("user", [10]))[0] for half in halves
    ]

    assert sorted(owner) == [False, True]
    right, other = halves[owner.index(True)], halves[owner.index(False)]
    assert _values(_answer(right, _group("user", [10])).groups[0]) == [vector(0)]
    with pytest.raises(RefusalError) as caught:
        _answer(other, _group("user", [10]))
    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "1 ids are in shards that this server does not hold" in caught.value.message
    assert _answer(other, _group("user", [11])).groups[0].found == b"\x00"
