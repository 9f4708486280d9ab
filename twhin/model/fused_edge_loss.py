# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The loss of a step with its gradients from one pass.

Gives the value and the gradients of `edge_loss` for the common objectives. The
gradients of all looked-up rows are written into one tensor per entity type, in
place: no slice, concatenation or log-probability is materialised.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from twhin.config.settings import Comparator, Loss, Precision
from twhin.model.compiled_parts import CompiledParts, is_compiled
from twhin.model.edge_group import EdgeGroup
from twhin.model.edge_loss import EdgeLoss
from twhin.model.fused_parts import FusedParts
from twhin.model.fused_side import FUSED_COMPARATORS
from twhin.model.known_flow import Found
from twhin.model.ranked_chunks import StepChunks
from twhin.model.relation_model import RelationModel
from twhin.model.step_rows import StepRows


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
      model: The relations, with a comparator for which `is_fused` is true.
      settings: The objective.
      precision: bfloat16 rounds the inputs of the matrix products.
      chunks: `compiled_arrays.step_chunks` of the groups; made here if not given,
        where they are needed.
    """
    step = _Step(list(rows), groups, model, settings, precision, chunks)
    total, lhs, rhs = _FusedEdgeLoss.apply(  # type: ignore[no-untyped-call]
        step, *rows.values(), *model.parameters()
    )
    return EdgeLoss(total=total, lhs=lhs, rhs=rhs)


class _FusedEdgeLoss(torch.autograd.Function):
    """Computes all gradients forward; backward only hands them out."""

    @staticmethod
    def forward(ctx: Any, step: "_Step", *tensors: Tensor) -> tuple[Tensor, ...]:
        """Returns total, lhs and rhs; keeps the gradients of `tensors`."""
        total, lhs, rhs, gradients = step.run(tensors)
        ctx.gradients = gradients
        ctx.mark_non_differentiable(lhs, rhs)
        return total, lhs, rhs

    @staticmethod
    def backward(ctx: Any, total: Tensor, lhs: Tensor, rhs: Tensor) -> Any:
        """Returns the gradients times that of the total."""
        gradients = ctx.gradients
        if float(total) != 1.0:
            gradients = [gradient * total for gradient in gradients]
        return (None, *gradients)


class _Step:
    """One evaluation of the loss and its gradients."""

    def __init__(
        self,
        names: list[str],
        groups: Sequence[EdgeGroup],
        model: RelationModel,
        settings: Loss,
        precision: Precision,
        chunks: StepChunks | None,
    ) -> None:
        self._names = names
        self._groups = groups
        self._model = model
        self._settings = settings
        self._precision = precision
        self._chunks = chunks

    def run(
        self, tensors: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Returns total, lhs, rhs, and the gradients of rows and parameters."""
        tables = [table.detach() for table in tensors[: len(self._names)]]
        # Each row lies in one segment, whose gradient is written before it is added to.
        gradients = [torch.empty_like(table) for table in tables]
        found = self._run_parts(
            dict(zip(self._names, tables, strict=True)),
            dict(zip(self._names, gradients, strict=True)),
        )
        none = tables[0].new_zeros(())
        lhs = torch.stack([none, *(part.losses[0] for part in found)]).sum()
        rhs = torch.stack([none, *(part.losses[1] for part in found)]).sum()
        total = lhs + rhs + sum(part.auxiliary for part in found)
        for place, parameter in enumerate(self._model.parameters()):
            gradient = torch.zeros_like(parameter)
            for part in found:
                flow = part.parameters[place]
                if flow is not None:
                    gradient.add_(flow)
            gradients.append(gradient)
        return total, lhs, rhs, gradients

    def _run_parts(
        self, rows: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> list[Found]:
        """Computes all groups; writes the gradients of the rows."""
        if not self._groups:
            return []
        one, model = rows[self._names[0]], self._model
        dtype = one.dtype
        if self._precision is Precision.BFLOAT16:
            dtype = torch.bfloat16
        step = StepRows(rows=rows, gradients=gradients, groups=self._groups)
        if is_compiled(model.comparator_kind, self._settings, one, dtype):
            return CompiledParts(step, model, self._settings, dtype, self._chunks).run()
        return FusedParts(step, model, self._settings, dtype).run()
