# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rows of tables as they are after being stored in a smaller form."""

import logging
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from twhin.bundle.row_format import RowFormat, decode_rows, encode_rows
from twhin.errors import ConfigError
from twhin.graph.schema import GraphSchema
from twhin.retrieval.product_quantizer import NUM_CODEWORDS, ProductQuantizer

_LOG = logging.getLogger(__name__)
_FLOAT32_BYTES = 4
_MAX_TRAINING_ROWS = 1 << 16

ReadRows = Callable[[str, int, int], Tensor]
"""Returns the rows [start, stop) of an entity type's table, [n, D]."""


def compress(read_rows: ReadRows, compression: str, schema: GraphSchema) -> ReadRows:
    """Returns a reader of the rows that are left of others after compression.

    Args:
      read_rows: The uncompressed rows.
      compression: "float16", "int8", or "pqN" for product quantisation to codes
        that take the N-th part of float32. A table with no more rows than a
        quantiser has codewords stays as it is.
      schema: The sizes of the tables.

    Raises:
      ConfigError: The dimension does not divide into such codes.
    """
    if not compression.startswith("pq"):
        row_format = RowFormat(compression)
        return lambda name, start, stop: _stored(
            read_rows(name, start, stop), row_format
        )
    ratio = int(compression.removeprefix("pq"))
    quantizers = {
        each.name: _train(read_rows, each.name, each.num_entities, ratio)
        for each in schema.entity_types
        if each.num_entities > NUM_CODEWORDS
    }

    def read(name: str, start: int, stop: int) -> Tensor:
        rows = read_rows(name, start, stop)
        quantizer = quantizers.get(name)
        if quantizer is None:
            return rows
        return torch.from_numpy(quantizer.decode(quantizer.encode(_float32(rows))))

    return read


def _stored(rows: Tensor, row_format: RowFormat) -> Tensor:
    found = np.empty(rows.shape, dtype=np.float32)
    decode_rows(encode_rows(_float32(rows), row_format), row_format, found)
    return torch.from_numpy(found)


def _train(
    read_rows: ReadRows, name: str, num_rows: int, ratio: int
) -> ProductQuantizer:
    """Trains on a sample of evenly spaced rows, the same on all ranks."""
    step = -(-num_rows // _MAX_TRAINING_ROWS)
    parts = [
        _float32(read_rows(name, start, min(start + _MAX_TRAINING_ROWS, num_rows)))[
            -start % step :: step
        ]
        for start in range(0, num_rows, _MAX_TRAINING_ROWS)
    ]
    rows = np.concatenate(parts)
    num_code_bytes, rest = divmod(rows.shape[1] * _FLOAT32_BYTES, ratio)
    if rest or rows.shape[1] % num_code_bytes:
        raise ConfigError(
            f"--compression: 'pq{ratio}' with model.embedding_dim {rows.shape[1]};"
            f" allowed: a dimension that is a multiple of {ratio // _FLOAT32_BYTES}"
        )
    quantizer = ProductQuantizer.train(rows, num_code_bytes)
    _LOG.info(
        "event=quantizer_trained entity_type=%s row_bytes=%d shared_bytes=%d",
        name,
        num_code_bytes,
        quantizer.num_shared_bytes,
    )
    return quantizer


def _float32(rows: Tensor) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = rows.float().numpy()
    return found
