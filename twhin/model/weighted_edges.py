# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Edges with the embeddings of both ends."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class WeightedEdges:
    """B edges that join the same entity types.

    Attributes:
      lhs: [B, D] float32, s of each edge.
      rhs: [B, D] float32, t of each edge.
      rel: [B] int64, relation indices.
      weight: [B] float32, w of each edge.
    """

    lhs: Tensor
    rhs: Tensor
    rel: Tensor
    weight: Tensor
