# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that ranks see each other, and that a failure reaches the caller."""

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from twhin.testing.ranks import run_ranks


def _sum_over_ranks(offset: int) -> tuple[int, Tensor]:
    values = torch.tensor([float(dist.get_rank() + offset)])
    dist.all_reduce(values)
    return dist.get_rank(), values


def _fail() -> None:
    raise ValueError(f"rank {dist.get_rank()}")


def test_ranks_share_a_group_and_results_come_by_rank() -> None:
    results = run_ranks(_sum_over_ranks, 2, 10)

    assert [rank for rank, _ in results] == [0, 1]
    assert [float(total) for _, total in results] == [21.0, 21.0]


def test_failure_of_a_rank_is_raised() -> None:
    with pytest.raises(ValueError, match="rank 0"):
        run_ranks(_fail, 2)
