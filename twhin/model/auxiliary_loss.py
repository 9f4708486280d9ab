# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a step adds to the loss of ranking entities."""

from torch import Tensor

from twhin.config.settings import Loss
from twhin.model import regularizers
from twhin.model.relation_loss import relation_loss
from twhin.model.relation_model import RelationModel
from twhin.model.weighted_edges import WeightedEdges


def is_used(settings: Loss) -> bool:
    """Returns whether anything is added at all."""
    return bool(settings.relation_weight) or regularizers.are_used(settings)


def auxiliary_loss(
    model: RelationModel, edges: WeightedEdges, settings: Loss
) -> Tensor:
    """Returns the loss of telling relations apart, and the penalty.

    Args:
      model: The relations.
      edges: The edges.
      settings: Has the coefficients.
    """
    return relation_loss(model, edges, settings) + regularizers.penalty(
        model, edges, settings
    )
