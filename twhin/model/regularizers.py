# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Penalties on the embeddings of the edges of a step.

Letters in shapes: B edges, D embedding dimension.
"""

from torch import Tensor

from twhin.config.settings import Loss


def penalty(lhs: Tensor, rhs: Tensor, weight: Tensor, settings: Loss) -> Tensor:
    """Returns sum_e w_e (l2 (|s|^2 + |t|^2) + n3 (|s|_3^3 + |t|_3^3)).

    Args:
      lhs: [B, D] float32, s of each edge.
      rhs: [B, D] float32, t of each edge.
      weight: [B] float32, w.
      settings: Has the coefficients.

    Reference: Lacroix et al., arXiv 1806.07297, section 4 (N3).
    """
    total = weight.new_zeros(())
    if settings.l2:
        squares = lhs.square().sum(-1) + rhs.square().sum(-1)
        total = total + settings.l2 * (weight * squares).sum()
    if settings.n3:
        cubes = lhs.abs().pow(3).sum(-1) + rhs.abs().pow(3).sum(-1)
        total = total + settings.n3 * (weight * cubes).sum()
    return total
