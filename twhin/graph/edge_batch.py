# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A batch of encoded edges."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeBatch:
    """B edges, as rows of the entity tables and relation indices.

    Attributes:
      lhs: [B] int64, row in the table of the relation's lhs entity type.
      rel: [B] int64, index of the relation in the schema.
      rhs: [B] int64, row in the table of the relation's rhs entity type.
      weight: [B] float32, positive; None where every edge weighs 1.
    """

    lhs: Tensor
    rel: Tensor
    rhs: Tensor
    weight: Tensor | None = None

    def __len__(self) -> int:
        """Returns B."""
        return int(self.lhs.shape[0])
