# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Plain tables in memory, each rank with an equal share of the rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from twhin.graph.schema import GraphSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseBlock:
    """Consecutive rows of a table.

    Attributes:
      start: The row of the table that `rows[0]` is.
      rows: [n, D] float32 or float16.
    """

    start: int
    rows: Tensor


class DenseTables:
    """Tables for evaluation without training; a `TableBlocks`."""

    def __init__(
        self,
        *,
        schema: GraphSchema,
        embedding_dim: int,
        read_rows: Callable[[str, int, int], Tensor],
        device: torch.device,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        """Reads this rank's share of all tables.

        Args:
          schema: Names and sizes of the entity types.
          embedding_dim: D.
          read_rows: Returns the rows [start, stop) of an entity type's table,
            [stop - start, D] float32 or float16.
          device: Where the rows are kept.
          group: The ranks that share the rows; None for this process alone.
        """
        self.embedding_dim = embedding_dim
        self._schema = schema
        self._device = device
        self._group = group
        self._blocks: dict[str, DenseBlock] = {}
        self.read(read_rows)

    def read(self, read_rows: Callable[[str, int, int], Tensor]) -> None:
        """Reads this rank's share of all tables anew; see the constructor."""
        world_size = 1 if self._group is None else self._group.size()
        rank = 0 if self._group is None else self._group.rank()
        for entity_type in self._schema.entity_types:
            num_rows = entity_type.num_entities
            start = num_rows * rank // world_size
            stop = num_rows * (rank + 1) // world_size
            rows = read_rows(entity_type.name, start, stop).to(self._device)
            self._blocks[entity_type.name] = DenseBlock(start=start, rows=rows)

    def lookup(self, rows: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Returns embeddings; a collective.

        Args:
          rows: By entity type [n] int64.

        Returns:
          By entity type [n, D] float32.
        """
        return {name: self._lookup(name, wanted) for name, wanted in rows.items()}

    def local_blocks(self, entity_type: str) -> Sequence[DenseBlock]:
        """Returns this rank's share of a table."""
        return [self._blocks[entity_type]]

    def _lookup(self, entity_type: str, rows: Tensor) -> Tensor:
        """Returns embeddings; rows may differ from rank to rank."""
        block = self._blocks[entity_type]
        wanted = rows.to(self._device)
        if self._group is None:
            return block.rows[wanted].float()
        gathered: list[Tensor] = [torch.empty(0)] * self._group.size()
        dist.all_gather_object(gathered, wanted, group=self._group)
        found = [self._own_rows(block, each) for each in gathered]
        for each in found:
            dist.all_reduce(each, group=self._group)
        return found[self._group.rank()]

    def _own_rows(self, block: DenseBlock, wanted: Tensor) -> Tensor:
        """Returns the embeddings of own rows, and 0 for those of other ranks."""
        places = wanted - block.start
        is_own = (places >= 0) & (places < len(block.rows))
        found = torch.zeros(len(wanted), self.embedding_dim, device=self._device)
        found[is_own] = block.rows[places[is_own]].float()
        return found
