# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of rows after compression."""

import pytest
import torch
from torch import Tensor

from twhin.bin.compressed_rows import ReadRows, compress
from twhin.errors import ConfigError
from twhin.graph.schema import EntityTypeSchema, GraphSchema

NUM_ROWS = 700


def _reader(rows: Tensor) -> tuple[ReadRows, GraphSchema]:
    schema = GraphSchema(
        entity_types=(EntityTypeSchema(name="user", num_entities=len(rows)),),
        relations=(),
    )
    return lambda name, start, stop: rows[start:stop], schema


def _relative_error(rows: Tensor, compression: str) -> float:
    found = compress(*_reader(rows)[:1], compression, _reader(rows)[1])
    left = torch.cat([found("user", 0, 300), found("user", 300, len(rows))])
    return float((left - rows).square().sum() / rows.square().sum())


def test_error_grows_with_the_ratio() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(NUM_ROWS, 16, generator=generator)

    errors = [
        _relative_error(rows, each)
        for each in ("float16", "int8", "pq8", "pq16", "pq32")
    ]

    assert errors == sorted(errors)
    assert errors[0] < 1e-6
    assert errors[1] < 1e-4
    assert 0.0 < errors[2] < errors[3] < errors[4] < 0.8


def test_rows_of_few_kinds_are_kept_exactly_by_codewords() -> None:
    generator = torch.Generator().manual_seed(0)
    kinds = torch.randn(20, 16, generator=generator)
    rows = kinds[torch.arange(NUM_ROWS) % 20]

    # k-means leaves codewords that differ by 1 / 1024 where it has too many.
    assert _relative_error(rows, "pq16") < 1e-7


def test_table_smaller_than_its_codewords_stays() -> None:
    rows = torch.randn(256, 16, generator=torch.Generator().manual_seed(0))

    assert _relative_error(rows, "pq16") == 0.0


def test_dimension_that_does_not_divide_is_refused() -> None:
    read_rows, schema = _reader(torch.zeros(NUM_ROWS, 18))

    with pytest.raises(ConfigError, match=r"pq16.* 18; allowed: .* multiple of 4"):
        compress(read_rows, "pq16", schema)
