# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Penalties on what scores the edges of a step."""

from torch import Tensor

from twhin.config.settings import Loss
from twhin.model.relation_model import RelationModel
from twhin.model.weighted_edges import WeightedEdges


def are_used(settings: Loss) -> bool:
    """Returns whether there is a penalty at all."""
    return bool(settings.l2 or settings.n3)


def penalty(model: RelationModel, edges: WeightedEdges, settings: Loss) -> Tensor:
    """Returns the weighted sum over edges of size(s) + size(t) + size(r).

    size(x) = l2 sum_i |x_i|^2 + n3 sum_i |x_i|^3, over complex numbers for the
    operators that have these. Without r an edge's entities could shrink and its
    relation grow at no cost.

    Args:
      model: Has the relations' parameters r.
      edges: The edges, with s and t of each.
      settings: Has the coefficients.

    Reference: Lacroix et al., arXiv 1806.07297, section 4 (N3).
    """
    if not are_used(settings):
        return edges.weight.new_zeros(())

    def size(moduli: Tensor) -> Tensor:
        squares = moduli.square()
        return settings.l2 * squares.sum(-1) + settings.n3 * (squares * moduli).sum(-1)

    sizes = model.penalties(edges.lhs, edges.rhs, edges.rel, size)
    return (edges.weight * sizes).sum()
