# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that two ranks count and compare what one rank does."""

import pytest
import torch
import torch.distributed as dist

from twhin.graph.prepared_graph import PreparedGraph
from twhin.graph.schema import EntityTypeSchema, GraphSchema
from twhin.testing.earlier_models import ALONE, ModelInMemory, join_for_test
from twhin.testing.ranks import run_ranks
from twhin.training.job import Job
from twhin.warm_start.alignment import Alignment, measure_alignment
from twhin.warm_start.join import JoinCounts, count_entities

GRAPH = PreparedGraph(
    schema=GraphSchema(
        entity_types=(
            EntityTypeSchema(name="user", num_entities=9),
            EntityTypeSchema(name="tweet", num_entities=2),
        ),
        relations=(),
    ),
    manifest=None,
    folder=None,
    files={},
)
JOIN = [3, -1, 0, 1, -1, 5, 6, 2, -1]


def _measure(rank: int, world_size: int) -> tuple[Alignment, dict[str, JoinCounts]]:
    generator = torch.Generator().manual_seed(0)
    earlier = torch.randn(7, 4, generator=generator)
    now = torch.randn(9, 4, generator=generator)
    source = ModelInMemory({"user": earlier, "tweet": torch.zeros(4, 4)})
    rows = slice(9 * rank // world_size, 9 * (rank + 1) // world_size)
    # Table-wise: the last rank alone has tweets.
    joined = [join_for_test("user", now[rows], JOIN[rows])]
    if rank == world_size - 1:
        joined.append(join_for_test("tweet", torch.ones(2, 4), [-1, 3]))
    job = ALONE
    if world_size > 1:
        job = Job(
            rank=rank,
            world_size=world_size,
            device=torch.device("cpu"),
            group=dist.group.WORLD,
        )
    counts = count_entities(source, GRAPH, joined, job)
    return measure_alignment(source, joined, ["user", "tweet"], job), counts


def _measure_on_rank() -> tuple[Alignment, dict[str, JoinCounts]]:
    return _measure(dist.get_rank(), dist.get_world_size())


def test_two_ranks_report_what_one_reports() -> None:
    alone, counts = _measure(0, 1)

    for found, found_counts in run_ranks(_measure_on_rank, 2):
        assert found_counts == counts
        assert found.metrics == pytest.approx(alone.metrics)
        assert found.rotation is not None
        assert alone.rotation is not None
        assert torch.allclose(found.rotation, alone.rotation)
    assert counts == {
        "user": JoinCounts(num_kept=6, num_new=3, num_gone=1),
        "tweet": JoinCounts(num_kept=1, num_new=1, num_gone=3),
    }
