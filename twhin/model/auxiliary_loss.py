# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a step adds to the loss of ranking entities."""

from torch import Tensor

from twhin.config.settings import Loss
from twhin.model import regularizers
from twhin.model.relation_loss import relation_loss
from twhin.model.relation_model import RelationModel


def is_used(settings: Loss) -> bool:
    """Returns whether anything is added at all."""
    return bool(settings.relation_weight) or regularizers.are_used(settings)


def auxiliary_loss(
    model: RelationModel,
    lhs: Tensor,
    rhs: Tensor,
    rel: Tensor,
    weight: Tensor,
    settings: Loss,
) -> Tensor:
    """Returns the loss of telling relations apart, and the penalty.

    Args:
      model: The relations.
      lhs: [B, D] float32, the embeddings of each edge's lhs.
      rhs: [B, D] float32, those of its rhs.
      rel: [B] int64, relation indices.
      weight: [B] float32, the weights of the edges.
      settings: Has the coefficients.
    """
    edges = (model, lhs, rhs, rel, weight, settings)
    return relation_loss(*edges) + regularizers.penalty(*edges)
