# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The protobuf wire form of a lookup's answer, joined from its parts.

The generated classes copy the vectors into a message and again into its wire
form; here they are copied once. The bytes are those of a
`twhin.v1.LookupResponse`.

Reference: https://protobuf.dev/programming-guides/encoding
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Part: TypeAlias = bytes | memoryview

_RESPONSE_GROUPS = b"\x0a"
_RESPONSE_VERSION = b"\x12"
_VECTORS_VALUES = b"\x0a"
_VECTORS_DIM = b"\x10"
_VECTORS_DTYPE = b"\x18"
_VECTORS_FOUND = b"\x22"


def varint(value: int) -> bytes:
    """Returns the base-128 form of `value`, at least 0."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def vectors_parts(
    values: npt.NDArray[Any], dtype: int, found: npt.NDArray[np.bool_]
) -> list[Part]:
    """Returns the parts of one `Vectors` entry of a `LookupResponse`.

    Args:
      values: [n, D] float32 or float16, C-contiguous, little-endian.
      dtype: The `VectorDtype` of the values.
      found: [n] bool.
    """
    bits = np.packbits(found, bitorder="little").tobytes()
    head = _VECTORS_VALUES + varint(values.nbytes)
    tail = b"".join(
        (
            _VECTORS_DIM + varint(values.shape[1]),
            _VECTORS_DTYPE + varint(dtype),
            _VECTORS_FOUND + varint(len(bits)) + bits,
        )
    )
    size = len(head) + values.nbytes + len(tail)
    return [_RESPONSE_GROUPS + varint(size) + head, values.reshape(-1).data, tail]


def lookup_response(groups: Iterable[list[Part]], version: str) -> bytes:
    """Returns a serialized `LookupResponse` of `vectors_parts` entries."""
    name = version.encode()
    parts: list[Part] = [part for group in groups for part in group]
    parts.append(_RESPONSE_VERSION + varint(len(name)) + name)
    return b"".join(parts)
