# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Compares the loss of a step that is made to be fast with the plain composition."""

from collections.abc import Sequence

import torch
from torch import Tensor

from twhin.config.settings import Loss
from twhin.model.edge_loss import EdgeLoss, edge_loss
from twhin.model.fused_edge_loss import fused_edge_loss
from twhin.model.relation_model import RelationModel
from twhin.scoring import Comparator, Operator
from twhin.testing.random_step import RandomStep


def make_model(
    comparator: Comparator,
    operators: Sequence[Operator] = (
        Operator.TRANSLATION,
        Operator.DIAGONAL,
        Operator.TRANSLATION,
    ),
    *,
    reciprocal: bool = True,
    dim: int = 4,
    dtype: torch.dtype = torch.float64,
) -> RelationModel:
    """Returns relations whose parameters are somewhere near the initial ones."""
    model = RelationModel(
        operators=operators,
        embedding_dim=dim,
        comparator=comparator,
        reciprocal=reciprocal,
    ).to(dtype)
    generator = torch.Generator().manual_seed(1)
    for parameters in model.parameters():
        noise = torch.randn(parameters.shape, generator=generator).to(dtype)
        parameters.data += 0.3 * noise
    return model


def check_equal(
    step: RandomStep,
    model: RelationModel,
    settings: Loss,
    *,
    value: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Compares `fused_edge_loss` with `edge_loss`: values and all gradients.

    Args:
      step: Rows and edges.
      model: The relations.
      settings: The objective.
      value: Both tolerances of the values; see `torch.testing.assert_close`.
      rtol: That of the gradients.
      atol: That of the gradients.
    """
    plain = edge_loss(step.rows, step.groups, model, settings)
    fused = fused_edge_loss(step.rows, step.groups, model, settings)
    for name in ("total", "lhs", "rhs"):
        ours, theirs = getattr(fused, name), getattr(plain, name)
        torch.testing.assert_close(ours, theirs, rtol=value, atol=value)
    expected = _gradients(plain, step, model)
    for ours, theirs in zip(_gradients(fused, step, model), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=atol)


def _gradients(loss: EdgeLoss, step: RandomStep, model: RelationModel) -> list[Tensor]:
    inputs = [*step.rows.values(), *model.parameters()]
    found = torch.autograd.grad(loss.total, inputs, allow_unused=True)
    return [
        torch.zeros_like(by) if gradient is None else gradient
        for gradient, by in zip(found, inputs, strict=True)
    ]
