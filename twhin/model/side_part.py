# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What the gradient of ranking one side is computed from, and where it goes.

Letters in shapes: P chunks, C edges of a chunk, N negatives of a chunk, M masked
scores, D embedding dimension.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Negatives of all chunks of a part, with what is added to their scores.

    Attributes:
      vectors: [P, N, D] float32.
      masked: [M] int64, flat positions in [P, C, N] of scores that do not count.
      log_q: [P, 1, N] float32, subtracted from the scores; None for 0.
      gradient: [P, N, D], where the gradient is written or added.
      accumulate: Whether the gradient is added to what is there.
    """

    vectors: Tensor
    masked: Tensor
    log_q: Tensor | None
    gradient: Tensor
    accumulate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SidePart:
    """Queries and positives of P chunks of equal size.

    Attributes:
      queries: [P, C, D] float32.
      positives: [P, C, D] float32.
      bias: [P, C] float32, added to all scores of a query; None for 0.
      log_q: [P, C] float32, subtracted from the positives' scores; None for 0.
      weight: [P, C] float32, the factor of each edge's loss.
      query_gradient: [P, C, D], where the queries' gradient is written.
      positive_gradient: [P, C, D], where the positives' gradient is written.
      bias_gradient: [P, C], where the bias' gradient is written; None without.
    """

    queries: Tensor
    positives: Tensor
    bias: Tensor | None
    log_q: Tensor | None
    weight: Tensor
    query_gradient: Tensor
    positive_gradient: Tensor
    bias_gradient: Tensor | None
