# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The loss of telling an edge's relation from the others."""

from torch import Tensor
from torch.nn import functional

from twhin.config.settings import Loss
from twhin.model.relation_model import RelationModel
from twhin.model.weighted_edges import WeightedEdges
from twhin.side import Side


def relation_loss(model: RelationModel, edges: WeightedEdges, settings: Loss) -> Tensor:
    """Returns the weighted sum over edges of -log p(r | s, t).

    p is the softmax of score(s, r', t) / temperature over the relations r' between
    the entity types of r. With reciprocal relations both parameter sets have such a
    loss, with the weight of the side that they rank.

    Args:
      model: The relations.
      edges: The edges, with r, s and t of each.
      settings: Has the coefficient and the temperature.

    Reference: Chen et al., "Relation Prediction as an Auxiliary Training Objective
    for Improving Multi-Relational Graph Representations", arXiv 2110.02834.
    """
    total = edges.weight.new_zeros(())
    if not settings.relation_weight:
        return total
    factors = {Side.LHS: settings.lhs_weight, Side.RHS: settings.rhs_weight}
    if not model.reciprocal:
        # Both sides give an edge the same score.
        factors = {Side.RHS: sum(factors.values())}
    for side, factor in factors.items():
        if factor:
            scores = model.relation_scores(side, edges.lhs, edges.rhs, edges.rel)
            losses = functional.cross_entropy(
                scores / settings.temperature, edges.rel, reduction="none"
            )
            total = total + factor * (edges.weight * losses).sum()
    return settings.relation_weight * total
