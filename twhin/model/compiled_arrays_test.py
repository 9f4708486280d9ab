# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the arrays that compiled loops take."""

import pytest
import torch

from twhin.model.compiled_arrays import step_chunks
from twhin.testing.random_step import RandomStep


@pytest.mark.parametrize("num_edges", [1, 4, 11])
def test_chunks_say_where_the_rows_of_groups_are(num_edges: int) -> None:
    step = RandomStep(
        num_edges=num_edges,
        chunk_size=4,
        num_negatives=3,
        in_batch=False,
        dtype=torch.float32,
    )

    chunks = step_chunks(step.groups, step.rows)

    assert chunks.tables == tuple(step.rows)
    place = 0
    for group in step.groups:
        for chunk in range(group.num_chunks):
            for at, (name, side) in zip(
                chunks.places, group.sides.values(), strict=True
            ):
                assert chunks.tables[at[place]["table"]] == name
                first = side.segment.start + chunk * group.chunk_size
                assert at[place]["entities"] == first
                drawn = side.negatives.start + chunk * side.num_negatives
                assert at[place]["negatives"] == drawn
                assert at[place]["num_negatives"] == 3
            place += 1
    assert len(chunks.edges.bounds) == place + 1
    assert chunks.edges.bounds[-1] == sum(map(len, step.groups))
