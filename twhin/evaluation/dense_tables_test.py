# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of plain tables, on one and on two ranks."""

import torch
import torch.distributed as dist
from torch import Tensor

from twhin.evaluation.dense_tables import DenseTables
from twhin.testing import ranking_case
from twhin.testing.ranking_case import SCHEMA
from twhin.testing.ranks import run_ranks


def _tables(group: dist.ProcessGroup | None) -> DenseTables:
    rows = ranking_case.random_tables()
    return DenseTables(
        schema=SCHEMA,
        embedding_dim=4,
        read_rows=lambda name, start, stop: rows[name][start:stop].half(),
        device=torch.device("cpu"),
        group=group,
    )


def _look_up_on_rank() -> tuple[Tensor, Tensor, int, Tensor]:
    tables = _tables(dist.group.WORLD)
    # Rows of both ranks for one, none for the other.
    wanted = torch.tensor([[0, 10, 7], []][dist.get_rank()], dtype=torch.int64)
    found = tables.lookup({"user": torch.empty(0, dtype=torch.int64), "item": wanted})
    (block,) = tables.local_blocks("item")
    return wanted, found["item"], block.start, block.rows


def test_lookup_gives_float32_rows_in_the_order_asked() -> None:
    found = _tables(None).lookup({"item": torch.tensor([10, 0, 10])})["item"]

    assert found.dtype == torch.float32
    assert torch.equal(found, ranking_case.random_tables()["item"][[10, 0, 10]])


def test_ranks_share_the_rows_and_find_those_of_others() -> None:
    results = run_ranks(_look_up_on_rank, 2)

    rows = ranking_case.random_tables()["item"]
    for wanted, found, _, _ in results:
        assert torch.equal(found, rows[wanted])
    assert [start for _, _, start, _ in results] == [0, 5]
    assert torch.equal(torch.cat([own for _, _, _, own in results]).float(), rows)
