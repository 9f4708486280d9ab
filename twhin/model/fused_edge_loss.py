# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The loss of a step with its gradients from one pass.

Gives the value and the gradients of `edge_loss` for the common objectives. The
gradients of all looked-up rows are written into one tensor per entity type, in
place: no slice, concatenation or log-probability is materialised.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from twhin.config.settings import Loss, Precision
from twhin.model import step_gradients
from twhin.model.edge_group import EdgeGroup
from twhin.model.edge_loss import EdgeLoss
from twhin.model.fused_side import FUSED_COMPARATORS
from twhin.model.ranked_chunks import StepChunks
from twhin.model.relation_model import RelationModel
from twhin.model.step_rows import StepRows
from twhin.scoring import Comparator


def is_fused(comparator: Comparator) -> bool:
    """Returns whether `fused_edge_loss` serves a comparator."""
    return comparator in FUSED_COMPARATORS


def fused_edge_loss(
    rows: Mapping[str, Tensor],
    groups: Sequence[EdgeGroup],
    model: RelationModel,
    settings: Loss,
    precision: Precision = Precision.FLOAT32,
    chunks: StepChunks | None = None,
) -> EdgeLoss:
    """Returns the loss of a step; see `edge_loss`.

    Args:
      rows: For every entity type [n, D] float32. Every row lies in one segment
        of the groups.
      groups: The edges; may be empty.
      model: See `step_gradients.compute`, as for the others.
      settings: The objective.
      precision: bfloat16 rounds the inputs of the matrix products.
      chunks: Those of the groups, where they have been made before.
    """

    def run(tables: Sequence[Tensor]) -> tuple[EdgeLoss, Sequence[Tensor]]:
        # Each row lies in one segment, whose gradient is written before it is added to.
        gradients = [torch.empty_like(table) for table in tables]
        step = StepRows(
            rows=dict(zip(rows, tables, strict=True)),
            gradients=dict(zip(rows, gradients, strict=True)),
            groups=groups,
        )
        found = step_gradients.compute(step, model, settings, precision, chunks)
        return found.loss, [*gradients, *found.parameters]

    total, lhs, rhs = _FusedEdgeLoss.apply(  # type: ignore[no-untyped-call]
        run, len(rows), *rows.values(), *model.parameters()
    )
    return EdgeLoss(total=total, lhs=lhs, rhs=rhs)


class _FusedEdgeLoss(torch.autograd.Function):
    """Computes all gradients forward; backward only hands them out."""

    @staticmethod
    def forward(
        ctx: Any,
        run: Callable[[Sequence[Tensor]], tuple[EdgeLoss, Sequence[Tensor]]],
        num_tables: int,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        """Returns total, lhs and rhs; keeps the gradients of `tensors`."""
        tables = [table.detach() for table in tensors[:num_tables]]
        loss, ctx.gradients = run(tables)
        ctx.mark_non_differentiable(loss.lhs, loss.rhs)
        return loss.total, loss.lhs, loss.rhs

    @staticmethod
    def backward(ctx: Any, total: Tensor, lhs: Tensor, rhs: Tensor) -> Any:
        """Returns the gradients times that of the total."""
        gradients = ctx.gradients
        if float(total) != 1.0:
            gradients = [gradient * total for gradient in gradients]
        return (None, None, *gradients)
