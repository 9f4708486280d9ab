# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The vectors of an entity type as a safetensors file.

    ids          int64 [n]       where ids are integers; where they are strings:
    id_offsets   int64 [n + 1]   id i is id_bytes[id_offsets[i]:id_offsets[i + 1]]
    embeddings   float32 [n, D]
    id_bytes     uint8 [m]       UTF-8

It is written block by block, which the library of that name cannot do.

Reference: https://github.com/huggingface/safetensors (the format)
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twhin.bundle.bundle import Bundle

_BLOCK_ROWS = 1 << 16
_HEADER_ALIGNMENT = 64
_DTYPES = {"I64": 8, "F32": 4, "U8": 1}

# A tensor: its name, dtype, shape, and its content in pieces.
_Tensor = tuple[str, str, list[int], Iterable[npt.NDArray[Any]]]


def write_safetensors(bundle: Bundle, entity_type: str, path: Path) -> None:
    """Writes the file, in the order of the bundle's rows.

    Args:
      bundle: With all shards.
      entity_type: The entity type.
      path: The file.
    """
    table = bundle.tables[entity_type]
    rows = (block for _, block in table.blocks(_BLOCK_ROWS))
    vectors: _Tensor = ("embeddings", "F32", [table.num_rows, bundle.dim], rows)
    if bundle.directories[entity_type].is_string:
        offsets, text = _string_ids(bundle, entity_type)
        tensors = [offsets, vectors, text]
    else:
        tensors = [_int64_ids(bundle, entity_type), vectors]
    metadata = {"version": bundle.version, "entity_type": entity_type}
    with path.open("wb") as file:
        file.write(_header(tensors, metadata))
        for _, _, _, pieces in tensors:
            for piece in pieces:
                file.write(np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)


def _int64_ids(bundle: Bundle, entity_type: str) -> _Tensor:
    num_rows = bundle.tables[entity_type].num_rows
    return "ids", "I64", [num_rows], _id_blocks(bundle, entity_type)


def _string_ids(bundle: Bundle, entity_type: str) -> tuple[_Tensor, _Tensor]:
    blocks = [
        [entity_id.encode() for entity_id in ids]
        for ids in _id_blocks(bundle, entity_type)
    ]
    lengths = [len(entity_id) for block in blocks for entity_id in block]
    offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    text = (np.frombuffer(b"".join(block), np.uint8) for block in blocks)
    return (
        ("id_offsets", "I64", [len(offsets)], [offsets]),
        ("id_bytes", "U8", [int(offsets[-1])], text),
    )


def _id_blocks(bundle: Bundle, entity_type: str) -> Iterable[npt.NDArray[Any]]:
    num_rows = bundle.tables[entity_type].num_rows
    for start in range(0, num_rows, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, num_rows)
        yield bundle.ids(entity_type, np.arange(start, stop))


def _header(tensors: list[_Tensor], metadata: dict[str, str]) -> bytes:
    """Returns the length of the JSON header and the header, padded with spaces."""
    entries: dict[str, Any] = {"__metadata__": metadata}
    start = 0
    for name, dtype, shape, _ in tensors:
        stop = start + _DTYPES[dtype] * int(np.prod(shape, dtype=np.int64))
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(entries).encode()
    text += b" " * (-(len(text) + 8) % _HEADER_ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
