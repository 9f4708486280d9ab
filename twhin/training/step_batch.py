# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What one rank needs for one step: rows to look up, and edges that use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from twhin.model.edge_group import EdgeGroup
from twhin.model.ranked_chunks import StepChunks


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBatch:
    """The edges of a step, with their negatives.

    Attributes:
      rows: For every entity type, in the order of the schema, [n] int64: the rows of
        its table to look up, duplicates included; n may be 0.
      groups: The edges, by pair of entity types; the segments of a group point
        into `rows`. Empty where the rank has no edges in this step.
      num_edges: The number of edges in all groups.
      chunks: The groups as compiled loops take them; None where none will.
    """

    rows: Mapping[str, Tensor]
    groups: tuple[EdgeGroup, ...]
    num_edges: int
    chunks: StepChunks | None = None

    def to(self, device: torch.device) -> StepBatch:
        """Returns the batch with its tensors on `device`."""
        return replace(
            self,
            rows={
                name: rows.to(device, non_blocking=True)
                for name, rows in self.rows.items()
            },
            groups=tuple(group.to(device) for group in self.groups),
        )
