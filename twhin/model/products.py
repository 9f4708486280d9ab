# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The matrix products of one side: scores, and what flows back from them.

Letters in shapes: P chunks, C edges of a chunk, N negatives of a chunk, D
embedding dimension.
"""

import torch
from torch import Tensor

from twhin.model.side_part import Candidates, SidePart


class Products:
    """Three batched products for each kind of negatives."""

    def __init__(self, part: SidePart, dtype: torch.dtype) -> None:
        """Rounds the queries.

        Args:
          part: Queries, and where their gradient goes.
          dtype: The type of the products' inputs.
        """
        self._part = part
        self._dtype = dtype
        self._is_exact = dtype is part.queries.dtype
        self._queries = part.queries.to(dtype)

    def scores(self, kind: Candidates) -> Tensor:
        """Returns queries times negatives, [P, C, N] in the queries' type."""
        negatives = kind.vectors.to(self._dtype).transpose(1, 2)
        return torch.bmm(self._queries, negatives).to(self._part.queries.dtype)

    def flow_back(self, kind: Candidates, block: Tensor) -> None:
        """Adds the gradient of queries, and writes or adds that of negatives.

        Args:
          kind: The negatives.
          block: [P, C, N], d loss / d products.
        """
        low, negatives = block.to(self._dtype), kind.vectors.to(self._dtype)
        flipped = low.transpose(1, 2)
        if self._is_exact:
            self._part.query_gradient.baddbmm_(low, negatives)
        else:
            self._part.query_gradient.add_(torch.bmm(low, negatives))
        if not self._is_exact:
            gradient = torch.bmm(flipped, self._queries)
            kind.gradient.add_(gradient) if kind.accumulate else kind.gradient.copy_(
                gradient
            )
        elif kind.accumulate:
            kind.gradient.baddbmm_(flipped, self._queries)
        else:
            torch.bmm(flipped, self._queries, out=kind.gradient)
