# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The protobuf wire form of lookups, written and read without copies.

Ids go from an array into the request, and vectors stay where they arrived: an
array over the received bytes. The bytes are those of `twhin.v1.LookupRequest`
and `twhin.v1.LookupResponse`.

Reference: https://protobuf.dev/programming-guides/encoding
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from twhin.v1 import embedding_service_pb2 as pb

# int64 ids, or strings.
Ids: TypeAlias = npt.NDArray[np.int64] | Sequence[str]

_REQUEST_GROUPS = b"\x0a"
_REQUEST_DTYPE = b"\x10"
_REQUEST_VERSION = b"\x1a"
_GROUP_ENTITY_TYPE = b"\x0a"
_GROUP_IDS = b"\x12"
_INT_IDS = b"\x0a"
_STRING_IDS = b"\x12"

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_DTYPES: dict[int, np.dtype[Any]] = {
    pb.VECTOR_DTYPE_FLOAT32: np.dtype("<f4"),
    pb.VECTOR_DTYPE_FLOAT16: np.dtype("<f2"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorsView:
    """One group of a response.

    Attributes:
      values: [n, D] float32 or float16, read-only, over the response.
      found: [n] bool.
    """

    values: npt.NDArray[Any]
    found: npt.NDArray[np.bool_]


def entity_ids(ids: Ids) -> bytes:
    """Returns a serialized `EntityIds`."""
    if isinstance(ids, np.ndarray):
        if not len(ids):
            return b""
        packed = ids.astype("<i8", copy=False).tobytes()
        return b"".join((_INT_IDS, _varint(len(packed)), packed))
    parts = []
    for name in ids:
        encoded = name.encode()
        parts += [_STRING_IDS, _varint(len(encoded)), encoded]
    return b"".join(parts)


def lookup_request(
    groups: Iterable[tuple[str, Ids]], dtype: int, version: str = ""
) -> bytes:
    """Returns a serialized `LookupRequest`.

    Args:
      groups: Entity types and their ids.
      dtype: A `VectorDtype`.
      version: The version to ask for; "" for the one being served.
    """
    parts = []
    for entity_type, ids in groups:
        name, serialized = entity_type.encode(), entity_ids(ids)
        group = b"".join(
            (
                _GROUP_ENTITY_TYPE + _varint(len(name)) + name,
                _GROUP_IDS + _varint(len(serialized)),
                serialized,
            )
        )
        parts += [_REQUEST_GROUPS + _varint(len(group)), group]
    parts.append(_REQUEST_DTYPE + _varint(dtype))
    if version:
        name = version.encode()
        parts.append(_REQUEST_VERSION + _varint(len(name)) + name)
    return b"".join(parts)


def read_lookup_response(
    response: bytes, num_ids: Sequence[int]
) -> tuple[list[VectorsView], str]:
    """Returns the groups and the version of a serialized `LookupResponse`.

    Args:
      response: The bytes.
      num_ids: The number of ids that each group asked for.

    Raises:
      ValueError: The bytes are no answer to such a request.
    """
    groups: list[VectorsView] = []
    version = ""
    for number, value in _fields(memoryview(response)):
        if number == 1:
            if len(groups) == len(num_ids):
                raise ValueError(f"response: has more than {len(num_ids)} groups")
            groups.append(_read_vectors(value, num_ids[len(groups)]))
        elif number == 2:
            version = bytes(value).decode()
    if len(groups) != len(num_ids):
        raise ValueError(f"response: has {len(groups)} of {len(num_ids)} groups")
    return groups, version


def _read_vectors(message: memoryview, num_ids: int) -> VectorsView:
    values, found, dim, dtype = memoryview(b""), memoryview(b""), 0, 0
    for number, value in _fields(message):
        if number == 1:
            values = value
        elif number == 2:
            dim = value
        elif number == 3:
            dtype = value
        elif number == 4:
            found = value
    if dtype not in _DTYPES:
        raise ValueError(f"response: has the unknown dtype {dtype}")
    bits = np.unpackbits(np.frombuffer(found, np.uint8), bitorder="little")
    return VectorsView(
        values=np.frombuffer(values, _DTYPES[dtype]).reshape(num_ids, dim),
        found=bits[:num_ids].view(np.bool_),
    )


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Yields number and value of each field: an int, or a view of its bytes."""
    place, size = 0, len(message)
    while place < size:
        tag, place = _read_varint(message, place)
        kind = tag & 7
        if kind == _VARINT:
            value, place = _read_varint(message, place)
            yield tag >> 3, value
            continue
        if kind == _LENGTH:
            length, place = _read_varint(message, place)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"response: has the unknown wire type {kind}")
        if place + length > size:
            raise ValueError("response: is cut off")
        yield tag >> 3, message[place : place + length]
        place += length


def _read_varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message) and shift < 70:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("response: is cut off")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
