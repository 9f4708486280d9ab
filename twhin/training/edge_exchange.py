# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Shows each rank the edges of the others, whose entities are its negatives too."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEdges:
    """B edges whose relations join the same two entity types.

    Attributes:
      pair: The number of the pair of entity types.
      lhs: [B] int64.
      rel: [B] int64.
      rhs: [B] int64.
    """

    pair: int
    lhs: NDArray[np.int64]
    rel: NDArray[np.int64]
    rhs: NDArray[np.int64]

    def __len__(self) -> int:
        """Returns B."""
        return len(self.rel)


class EdgeExchange:
    """Gathers the edges of a step from all ranks of a process group."""

    def __init__(self, group: dist.ProcessGroup, num_pairs: int) -> None:
        """Keeps the group.

        Args:
          group: A group for tensors on the CPU, which no other thread uses.
          num_pairs: The number of pairs of entity types.
        """
        self._group = group
        self._num_pairs = num_pairs

    def gather(self, edges: Sequence[PairEdges]) -> list[list[PairEdges]]:
        """Returns the other ranks' edges; a collective.

        Args:
          edges: This rank's edges, by ascending pair; may be empty.

        Returns:
          For each pair the edges of every other rank that has any, by rank.
        """
        counts = torch.zeros(self._num_pairs, dtype=torch.int64)
        for part in edges:
            counts[part.pair] = len(part)
        all_counts = self._all_gather(counts)
        size = int(max(int(one.sum()) for one in all_counts))
        mine = torch.zeros((3, size), dtype=torch.int64)
        start = 0
        for part in edges:
            stop = start + len(part)
            for row, values in enumerate((part.lhs, part.rel, part.rhs)):
                mine[row, start:stop] = torch.from_numpy(values)
            start = stop
        all_edges = self._all_gather(mine)
        others: list[list[PairEdges]] = [[] for _ in range(self._num_pairs)]
        for rank, (one, columns) in enumerate(zip(all_counts, all_edges, strict=True)):
            if rank != dist.get_rank(self._group):
                _split(one.numpy(), columns.numpy(), others)
        return others

    def _all_gather(self, values: Tensor) -> list[Tensor]:
        gathered = [
            torch.empty_like(values) for _ in range(dist.get_world_size(self._group))
        ]
        dist.all_gather(gathered, values, group=self._group)
        return gathered


def _split(
    counts: NDArray[np.int64],
    columns: NDArray[np.int64],
    others: list[list[PairEdges]],
) -> None:
    """Adds one rank's edges to those of each pair."""
    start = 0
    for pair, count in enumerate(counts.tolist()):
        if count:
            lhs, rel, rhs = columns[:, start : start + count]
            others[pair].append(PairEdges(pair=pair, lhs=lhs, rel=rel, rhs=rhs))
        start += count
