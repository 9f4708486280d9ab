# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The loss of a step with its gradients, from one pass over its edges."""

from dataclasses import dataclass

import torch
from torch import Tensor

from twhin.config.settings import Loss, Precision
from twhin.model import auxiliary_loss, compiled_parts
from twhin.model.compiled_parts import CompiledParts
from twhin.model.edge_loss import EdgeLoss
from twhin.model.fused_parts import FusedParts
from twhin.model.known_flow import Found
from twhin.model.ranked_chunks import StepChunks
from twhin.model.relation_model import RelationModel
from twhin.model.step_rows import StepRows
from twhin.side import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class StepGradients:
    """What a step gives, beside the gradients that it writes for rows.

    Attributes:
      loss: The loss, without gradient.
      parameters: The gradients of the relation model's parameters.
    """

    loss: EdgeLoss
    parameters: tuple[Tensor, ...]


def takes_tables(model: RelationModel, settings: Loss, device: torch.device) -> bool:
    """Returns whether a step may have chosen rows of float32 tables."""
    return (
        compiled_parts.serves(model.comparator_kind, settings, device)
        and not auxiliary_loss.is_used(settings)
        and all(model.shifts(side) is not None for side in Side)
    )


def compute(
    step: StepRows,
    model: RelationModel,
    settings: Loss,
    precision: Precision = Precision.FLOAT32,
    chunks: StepChunks | None = None,
) -> StepGradients:
    """Computes a step; writes the gradients of its rows.

    Args:
      step: The edges; chosen rows of tables where `takes_tables` alone.
      model: The relations, with a comparator for which `is_fused` is true.
      settings: The objective.
      precision: bfloat16 rounds the inputs of the matrix products.
      chunks: `compiled_arrays.step_chunks` of the groups; made here if not given,
        where they are needed.
    """
    found = _run_parts(step, model, settings, precision, chunks)
    none = next(iter(step.rows.values())).new_zeros(())
    lhs = torch.stack([none, *(part.losses[0] for part in found)]).sum()
    rhs = torch.stack([none, *(part.losses[1] for part in found)]).sum()
    gradients = []
    for place, parameter in enumerate(model.parameters()):
        gradient = torch.zeros_like(parameter)
        for part in found:
            flow = part.parameters[place]
            if flow is not None:
                gradient.add_(flow)
        gradients.append(gradient)
    total = lhs + rhs + sum(part.auxiliary for part in found)
    return StepGradients(
        loss=EdgeLoss(total=total, lhs=lhs, rhs=rhs), parameters=tuple(gradients)
    )


def _run_parts(
    step: StepRows,
    model: RelationModel,
    settings: Loss,
    precision: Precision,
    chunks: StepChunks | None,
) -> list[Found]:
    """Computes all groups; writes the gradients of the rows."""
    if not step.groups:
        return []
    one = next(iter(step.rows.values()))
    dtype = torch.bfloat16 if precision is Precision.BFLOAT16 else one.dtype
    if compiled_parts.is_compiled(model.comparator_kind, settings, one, dtype):
        return CompiledParts(step, model, settings, dtype, chunks).run()
    return FusedParts(step, model, settings, dtype).run()
