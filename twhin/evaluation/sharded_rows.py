# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The rows of tables that are divided over ranks, and sums over those ranks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from twhin.evaluation.candidates import Candidates
from twhin.evaluation.table_blocks import TableBlocks


@dataclass(frozen=True, slots=True, kw_only=True)
class RowBlock:
    """Consecutive candidates that this rank compares with all queries.

    Attributes:
      start: The number of the first candidate.
      rows: [n, D] float32 or float16, their embeddings.
    """

    start: int
    rows: Tensor


class ShardedRows:
    """Embeddings by entity type and row, from tables in any division.

    All ranks of the group call the same methods in the same order.
    """

    def __init__(
        self,
        *,
        tables: TableBlocks,
        entity_types: Sequence[str],
        device: torch.device,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        """Wraps the tables.

        Args:
          tables: This rank's view of the tables.
          entity_types: The names of all tables.
          device: Where this rank's rows are, and its scores are computed.
          group: The ranks that hold the tables; None for this process alone.
        """
        self.device = device
        self._tables = tables
        self._no_rows = dict.fromkeys(entity_types, torch.empty(0, dtype=torch.int64))
        self._group = group

    def lookup(self, entity_type: str, rows: Tensor) -> Tensor:
        """Returns the embeddings of rows, [n] int64, as [n, D] float32."""
        found = self._tables.lookup({**self._no_rows, entity_type: rows})[entity_type]
        return found.detach()

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """Returns the sum over all ranks; changes `values`."""
        if self._group is not None:
            dist.all_reduce(values, group=self._group)
        return values

    def all_gather(self, values: Tensor) -> list[Tensor]:
        """Returns the values of all ranks, which have the same shape."""
        if self._group is None:
            return [values]
        gathered = [torch.empty_like(values) for _ in range(self._group.size())]
        dist.all_gather(gathered, values, group=self._group)
        return gathered

    def blocks(self, candidates: Candidates, max_block_rows: int) -> Iterator[RowBlock]:
        """Yields this rank's share of the candidates.

        Rows are visited where they lie. A sample, and a table that is divided by
        columns, is looked up instead, each rank a part.

        Args:
          candidates: What to visit.
          max_block_rows: The largest number of rows of a block.
        """
        if candidates.sample is not None:
            sample = torch.from_numpy(candidates.sample)
            yield from self._look_up_share(candidates, sample, max_block_rows)
        elif self._is_divided_by_columns(candidates.entity_type):
            rows = torch.arange(candidates.num_rows)
            yield from self._look_up_share(candidates, rows, max_block_rows)
        else:
            for block in self._tables.local_blocks(candidates.entity_type):
                for start in range(0, len(block.rows), max_block_rows):
                    part = block.rows[start : start + max_block_rows]
                    yield RowBlock(start=block.start + start, rows=part)

    def _look_up_share(
        self, candidates: Candidates, rows: Tensor, max_block_rows: int
    ) -> Iterator[RowBlock]:
        """Yields every world_size-th block; as many lookups on all ranks."""
        world_size = 1 if self._group is None else self._group.size()
        rank = 0 if self._group is None else self._group.rank()
        for start in range(0, len(rows), world_size * max_block_rows):
            first = start + rank * max_block_rows
            wanted = rows[first : first + max_block_rows]
            found = self.lookup(candidates.entity_type, wanted)
            if len(wanted):
                yield RowBlock(start=first, rows=found)

    def _is_divided_by_columns(self, entity_type: str) -> bool:
        divided = any(
            block.rows.shape[1] < self._tables.embedding_dim
            for block in self._tables.local_blocks(entity_type)
        )
        flag = torch.tensor([int(divided)], device=self.device)
        return bool(self.all_reduce_sum(flag).item())
