# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Penalties on what scores the edges of a step."""

from torch import Tensor

from twhin.config.settings import Loss
from twhin.model.relation_model import RelationModel
from twhin.model.weighted_edges import WeightedEdges

# Of embeddings and of their images, as the authors of DURA weigh them for ComplEx.
_EMBEDDINGS_WEIGHT = 0.5
_IMAGES_WEIGHT = 1.5


def are_used(settings: Loss) -> bool:
    """Returns whether there is a penalty at all."""
    return bool(settings.l2 or settings.n3 or settings.dura)


def penalty(model: RelationModel, edges: WeightedEdges, settings: Loss) -> Tensor:
    """Returns the weighted sum over edges of size(s) + size(t) + size(r) + duality.

    size(x) = l2 sum_i |x_i|^2 + n3 sum_i |x_i|^3, over complex numbers for the
    operators that have these. Without r an edge's entities could shrink and its
    relation grow at no cost.

    duality = dura ((|s|^2 + |t|^2) / 2 + 3/2 (|op_r(s)|^2 + |op_r'(t)|^2)), where
    op_r' is the transposed operator. Score and penalty together are a distance of
    op_r(s) and t, and one of s and op_r'(t): entities with the same neighbours come
    to lie near each other, as they do in models that compare by distances.

    Args:
      model: Has the relations' parameters r.
      edges: The edges, with s and t of each.
      settings: Has the coefficients.

    References: Lacroix et al., arXiv 1806.07297, section 4 (N3); Zhang et al.,
    "Duality-Induced Regularizer for Tensor Factorization Based Knowledge Graph
    Completion", NeurIPS 2020, arXiv 2011.05816 (DURA).
    """
    if not are_used(settings):
        return edges.weight.new_zeros(())

    def size(moduli: Tensor) -> Tensor:
        squares = moduli.square()
        return settings.l2 * squares.sum(-1) + settings.n3 * (squares * moduli).sum(-1)

    sizes = edges.weight.new_zeros(edges.rel.shape)
    if settings.l2 or settings.n3:
        sizes = sizes + model.penalties(edges.lhs, edges.rhs, edges.rel, size)
    if settings.dura:
        sizes = sizes + settings.dura * _duality(model, edges)
    return (edges.weight * sizes).sum()


def _duality(model: RelationModel, edges: WeightedEdges) -> Tensor:
    """Returns the squares of DURA, [B] float32; see `penalty`."""
    embeddings = edges.lhs.square().sum(-1) + edges.rhs.square().sum(-1)
    images = model.image_squares(edges.lhs, edges.rhs, edges.rel)
    return _EMBEDDINGS_WEIGHT * embeddings + _IMAGES_WEIGHT * images
