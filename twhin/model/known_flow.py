# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The way from known entities to queries, and of gradients back.

Operators are torch's to differentiate; what ranks their queries gives gradients of
its own.

Letters in shapes: B edges, D embedding dimension.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from twhin.config.settings import Loss
from twhin.model.auxiliary_loss import auxiliary_loss
from twhin.model.relation_model import RelationModel
from twhin.model.relation_operator import Query
from twhin.model.weighted_edges import WeightedEdges
from twhin.side import Side

# A tensor, and the gradient of the loss by it.
Flow: TypeAlias = tuple[Tensor, Tensor]
# The queries of the sides that are ranked -> the losses of both sides, and what flows
# back to the queries. Writes the gradients of the rows of both sides.
Rank: TypeAlias = Callable[
    [Mapping[Side, Query]], tuple[tuple[Tensor, Tensor], Sequence[Flow]]
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What some edges add to the loss of a step, and to its gradients.

    Attributes:
      losses: The loss of ranking the lhs, and that of ranking the rhs.
      auxiliary: The auxiliary loss.
      known: The gradients of the lhs and of the rhs as known entities, [B, D]
        each; None for 0.
      parameters: The gradients of the relation model's parameters; None for 0.
    """

    losses: tuple[Tensor, Tensor]
    auxiliary: Tensor
    known: tuple[Tensor | None, ...]
    parameters: tuple[Tensor | None, ...]


def ranked_sides(settings: Loss) -> Mapping[Side, float]:
    """Returns the sides that count in the loss, with their weights."""
    weights = {Side.LHS: settings.lhs_weight, Side.RHS: settings.rhs_weight}
    return {side: weight for side, weight in weights.items() if weight}


@torch.no_grad()  # A thread has a mode of its own.
def compute(
    entities: tuple[Tensor, Tensor],
    rel: Tensor,
    weight: Tensor,
    model: RelationModel,
    settings: Loss,
    rank: Rank,
) -> Found:
    """Ranks the sides of edges that have a weight.

    Args:
      entities: The embeddings of the lhs and of the rhs, [B, D] each.
      rel: [B] int64, relation indices.
      weight: [B] float32, the weights of the edges.
      model: The relations.
      settings: The objective.
      rank: Ranks the entities.
    """
    with torch.enable_grad():
        lhs, rhs = (each.detach().requires_grad_() for each in entities)
        queries = {
            side: model.query(side, rhs if side is Side.LHS else lhs, rel)
            for side in ranked_sides(settings)
        }
        auxiliary = auxiliary_loss(
            model, WeightedEdges(lhs, rhs, rel, weight), settings
        )
    losses, flows = rank(queries)
    flows = [*flows, (auxiliary, torch.ones_like(auxiliary))]
    found = flow_back(flows, [lhs, rhs, *model.parameters()])
    return Found(
        losses=losses,
        auxiliary=auxiliary.detach(),
        known=found[:2],
        parameters=found[2:],
    )


def flow_back(
    flows: Sequence[Flow], inputs: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """Returns the gradients by the inputs that tensors are computed from.

    Args:
      flows: The tensors; those that need no gradient do not count.
      inputs: Leaves.
    """
    flows = [flow for flow in flows if flow[0].requires_grad]
    if not flows:
        return (None,) * len(inputs)
    return torch.autograd.grad(
        [tensor for tensor, _ in flows],
        list(inputs),
        [gradient for _, gradient in flows],
        allow_unused=True,
    )
