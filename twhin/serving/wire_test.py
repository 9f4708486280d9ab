# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of wire."""

import numpy as np
import pytest

from twhin.serving import wire
from twhin.v1 import embedding_service_pb2


@pytest.mark.parametrize("num_rows", [0, 1, 3, 200])
def test_joined_parts_parse_as_the_generated_message(num_rows: int) -> None:
    values = np.arange(num_rows * 5, dtype=np.float16).reshape(num_rows, 5)
    found = np.arange(num_rows) % 3 != 1
    dtype = embedding_service_pb2.VECTOR_DTYPE_FLOAT16

    serialized = wire.lookup_response(
        [wire.vectors_parts(values, dtype, found)] * 2, "v000012"
    )

    message = embedding_service_pb2.LookupResponse.FromString(serialized)
    assert message.version == "v000012"
    assert len(message.groups) == 2
    for group in message.groups:
        assert group.values == values.tobytes()
        assert (group.dim, group.dtype) == (5, dtype)
        bits = np.unpackbits(
            np.frombuffer(group.found, np.uint8), count=num_rows, bitorder="little"
        )
        assert bits.astype(bool).tolist() == found.tolist()


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")],
)
def test_varint_matches_the_encoding_guide(value: int, encoded: bytes) -> None:
    assert wire.varint(value) == encoded
