# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Edges of one pair of entity types, with the negatives that they share.

Letters in shapes:
  B  edges of the group
  C  edges of a chunk, `EdgeGroup.chunk_size`; the last chunk may be shorter
  P  chunks of the group, ceil(B / C)
  N  drawn negatives of a chunk and side, `GroupSide.num_negatives`; may be 0
  M  masked pairs
  D  embedding dimension
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from twhin.side import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The rows from `start` to before `stop` of an entity type's looked-up rows."""

    start: int
    stop: int

    def __len__(self) -> int:
        """Returns the number of rows."""
        return self.stop - self.start

    def of(self, rows: Tensor) -> Tensor:
        """Returns this segment of the entity type's rows, as a view."""
        return rows[self.start : self.stop]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSide:
    """One side of a group: its entities, and the negatives that replace them.

    Edge e belongs to chunk e // C. Its candidates on this side are the N drawn
    negatives of that chunk and, with in-batch negatives, the entities of the
    chunk's own edges.

    Attributes:
      segment: B rows: the entities of the edges on this side.
      negatives: The drawn negatives: P x N rows, chunk by chunk; N rows where
        `shared_negatives`.
      num_negatives: N.
      shared_negatives: Whether all chunks have the same negatives; then negative
        j is row j of the table (all entities are negatives).
      masked_negatives: [2, M] int64, distinct pairs (e, j) with e in [0, B) and j
        in [0, N): drawn negative j of the chunk of edge e must not count for
        edge e.
      masked_in_batch: [2, M] int64, distinct pairs (e, j) with e in [0, B) and j
        in [0, C): the entity of the j-th edge of e's own chunk must not count as
        a negative of edge e. Has each edge's own entity, and so M >= B; None
        without in-batch negatives.
      log_q: [B] float32, the logarithm of the expected number of times that the
        edge's entity is among the candidates of a chunk, over all kinds of
        negatives; None without logQ correction.
      negative_log_q: [P, N] float32, the same of the drawn negatives; None
        without logQ correction.
    """

    segment: Segment
    negatives: Segment
    num_negatives: int
    shared_negatives: bool
    masked_negatives: Tensor
    masked_in_batch: Tensor | None
    log_q: Tensor | None
    negative_log_q: Tensor | None

    def to(self, device: torch.device) -> GroupSide:
        """Returns the side with its tensors on `device`."""
        return replace(
            self,
            masked_negatives=self.masked_negatives.to(device, non_blocking=True),
            masked_in_batch=_to(self.masked_in_batch, device),
            log_q=_to(self.log_q, device),
            negative_log_q=_to(self.negative_log_q, device),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeGroup:
    """B >= 1 edges whose relations join the same two entity types.

    Attributes:
      lhs_type: Name of the lhs entity type.
      rhs_type: Name of the rhs entity type; may equal `lhs_type`.
      rel: [B] int64, index of each edge's relation in the schema.
      weight: [B] float32, edge weight times the loss weight of its relation.
      chunk_size: C.
      lhs: The lhs entities, and what replaces them.
      rhs: The rhs entities, and what replaces them.
    """

    lhs_type: str
    rhs_type: str
    rel: Tensor
    weight: Tensor
    chunk_size: int
    lhs: GroupSide
    rhs: GroupSide

    def __len__(self) -> int:
        """Returns B."""
        return int(self.rel.shape[0])

    @property
    def sides(self) -> Mapping[Side, tuple[str, GroupSide]]:
        """The entity type of each side, and what it has."""
        return {
            Side.LHS: (self.lhs_type, self.lhs),
            Side.RHS: (self.rhs_type, self.rhs),
        }

    @property
    def num_chunks(self) -> int:
        """P."""
        return -(-len(self) // self.chunk_size)

    def to(self, device: torch.device) -> EdgeGroup:
        """Returns the group with its tensors on `device`."""
        return replace(
            self,
            rel=self.rel.to(device, non_blocking=True),
            weight=self.weight.to(device, non_blocking=True),
            lhs=self.lhs.to(device),
            rhs=self.rhs.to(device),
        )


def _to(tensor: Tensor | None, device: torch.device) -> Tensor | None:
    """Returns the tensor on `device`; None stays None."""
    return None if tensor is None else tensor.to(device, non_blocking=True)
