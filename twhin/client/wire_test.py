# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of wire: its bytes are those of the generated messages."""

import numpy as np
import pytest

from twhin.client import wire
from twhin.v1 import embedding_service_pb2 as pb

_INT_IDS = np.array([0, -1, 2**62, 300], np.int64)


def test_request_is_the_generated_message() -> None:
    names = ["a", "", "caf\u00e9" * 100]

    request = wire.lookup_request(
        [("user", _INT_IDS), ("tweet", names), ("none", np.empty(0, np.int64))],
        pb.VECTOR_DTYPE_FLOAT16,
        "v000003",
    )

    message = pb.LookupRequest.FromString(request)
    assert message.SerializeToString() == request
    assert [group.entity_type for group in message.groups] == ["user", "tweet", "none"]
    ids = np.array(message.groups[0].ids.int_ids, np.uint64).view(np.int64)
    assert ids.tolist() == _INT_IDS.tolist()
    assert list(message.groups[1].ids.string_ids) == names
    assert message.groups[2].HasField("ids")
    assert (message.dtype, message.version) == (pb.VECTOR_DTYPE_FLOAT16, "v000003")


@pytest.mark.parametrize("num_ids", [0, 1, 9])
def test_response_is_read_in_place(num_ids: int) -> None:
    values = np.arange(num_ids * 3, dtype="<f2").reshape(num_ids, 3)
    found = np.arange(num_ids) % 2 == 0
    vectors = pb.Vectors(
        values=values.tobytes(),
        dim=3,
        dtype=pb.VECTOR_DTYPE_FLOAT16,
        found=np.packbits(found, bitorder="little").tobytes(),
    )
    message = pb.LookupResponse(groups=[vectors, vectors], version="v000001")

    views, version = wire.read_lookup_response(
        message.SerializeToString(), [num_ids, num_ids]
    )

    assert version == "v000001"
    for view in views:
        assert np.array_equal(view.values, values)
        assert view.values.dtype == np.float16
        assert not view.values.flags.owndata
        assert view.found.tolist() == found.tolist()


def test_unknown_fields_are_skipped() -> None:
    vectors = pb.Vectors(
        values=bytes(4), dim=1, dtype=pb.VECTOR_DTYPE_FLOAT32, found=b"\x01"
    )
    known = pb.LookupResponse(groups=[vectors], version="v1").SerializeToString()
    # Field 9 as a varint, as 8 bytes, as 4 bytes and as a run of bytes.
    unknown = b"\x48\xff\x01" + b"\x49" + bytes(8) + b"\x4d" + bytes(4) + b"\x4a\x01x"

    views, version = wire.read_lookup_response(unknown + known, [1])

    assert (views[0].values.tolist(), version) == ([[0.0]], "v1")


@pytest.mark.parametrize(
    "response", [b"\x0a\x7f", b"\x0b", b"\x12\xff", b"", b"\x0a\x00\x0a\x00"]
)
def test_damaged_responses_are_errors(response: bytes) -> None:
    with pytest.raises(ValueError, match="response: "):
        wire.read_lookup_response(response, [1])
