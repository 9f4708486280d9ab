# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The loss of a step with its gradients from one pass.

Gives the value and the gradients of `edge_loss` for the common objectives. The
gradients of all looked-up rows are written into one tensor per entity type, in
place: no slice, concatenation or log-probability is materialised.

Letters in shapes: B edges of a group, C edges of a chunk, P chunks, N drawn
negatives of a chunk, D embedding dimension.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from twhin.config.settings import Comparator, Loss, Precision
from twhin.model import regularizers
from twhin.model.comparators import MIN_NORM, normalize
from twhin.model.edge_group import EdgeGroup, GroupSide
from twhin.model.edge_loss import EdgeLoss
from twhin.model.fused_side import (
    FUSED_COMPARATORS,
    Candidates,
    SidePart,
    compute_side,
)
from twhin.model.operators import Query
from twhin.model.relation_model import RelationModel
from twhin.model.side import Side

_SCORES_AT_ONCE = 1 << 21


def is_fused(comparator: Comparator) -> bool:
    """Returns whether `fused_edge_loss` serves a comparator."""
    return comparator in FUSED_COMPARATORS


def fused_edge_loss(
    rows: Mapping[str, Tensor],
    groups: Sequence[EdgeGroup],
    model: RelationModel,
    settings: Loss,
    precision: Precision = Precision.FLOAT32,
) -> EdgeLoss:
    """Returns the loss of a step; see `edge_loss`.

    Args:
      rows: For every entity type [n, D] float32. Every row lies in one segment
        of the groups.
      groups: The edges; may be empty.
      model: The relations, with a comparator for which `is_fused` is true.
      settings: The objective.
      precision: bfloat16 rounds the inputs of the matrix products.
    """
    step = _Step(list(rows), groups, model, settings, precision)
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
    ) -> None:
        self._names = names
        self._groups = groups
        self._model = model
        self._settings = settings
        self._precision = precision
        self._is_cosine = model.comparator_kind is Comparator.COSINE

    def run(
        self, tensors: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Returns total, lhs, rhs, and the gradients of rows and parameters."""
        num_tables = len(self._names)
        rows = dict(zip(self._names, tensors[:num_tables], strict=True))
        # Each row lies in one segment, whose gradient is written before it is added to.
        gradients = {name: torch.empty_like(table) for name, table in rows.items()}
        for group in self._groups:
            for name, side in _sides(group):
                if side.shared_negatives:
                    side.negatives.of(gradients[name]).zero_()
        parameters = list(self._model.parameters())
        parameter_gradients = [torch.zeros_like(p) for p in parameters]
        lhs, rhs, penalty = (tensors[0].new_zeros(()) for _ in range(3))
        # Candidates are compared as they are, or as vectors of norm 1.
        compared = rows
        if self._is_cosine:
            compared = {name: normalize(table) for name, table in rows.items()}
        known_gradients: list[tuple[Tensor, Tensor]] = []
        for group in self._groups:
            with torch.enable_grad():
                known = [
                    side.segment.of(rows[name]).detach().requires_grad_()
                    for name, side in _sides(group)
                ]
                queries = [
                    self._query(Side.LHS, known[1], group.rel),
                    self._query(Side.RHS, known[0], group.rel),
                ]
                extra = regularizers.penalty(
                    self._model,
                    known[0],
                    known[1],
                    group.rel,
                    group.weight,
                    self._settings,
                )
            outputs: list[Tensor] = []
            output_gradients: list[Tensor] = []
            losses = []
            for place, factor in enumerate(
                (self._settings.lhs_weight, self._settings.rhs_weight)
            ):
                name, side = _sides(group)[place]
                loss, flows = self._side(
                    group, side, queries[place], compared[name], gradients[name], factor
                )
                losses.append(loss)
                for output, gradient in flows:
                    if output.requires_grad:
                        outputs.append(output)
                        output_gradients.append(gradient)
            if extra.requires_grad:
                outputs.append(extra)
                output_gradients.append(torch.ones_like(extra))
            found = self._flow_back(
                known, outputs, output_gradients, parameter_gradients
            )
            known_gradients += [
                (side.segment.of(gradients[name]), gradient)
                for (name, side), gradient in zip(_sides(group), found, strict=True)
                if gradient is not None
            ]
            lhs, rhs = lhs + losses[0], rhs + losses[1]
            penalty = penalty + extra.detach()
        if self._is_cosine:
            for name, table in rows.items():
                _flow_through_norm(table, compared[name], gradients[name])
        for target, gradient in known_gradients:
            target.add_(gradient)
        total = lhs + rhs + penalty
        return total, lhs, rhs, [*gradients.values(), *parameter_gradients]

    def _query(self, side: Side, known: Tensor, rel: Tensor) -> Query:
        query = self._model.query(side, known, rel)
        if not self._is_cosine:
            return query
        return Query(vectors=normalize(query.vectors))

    def _flow_back(
        self,
        known: list[Tensor],
        outputs: list[Tensor],
        output_gradients: list[Tensor],
        parameter_gradients: list[Tensor],
    ) -> tuple[Tensor | None, ...]:
        """Returns what flows from the queries to known rows; adds to parameters."""
        parameters = list(self._model.parameters())
        found = torch.autograd.grad(
            outputs, [*known, *parameters], output_gradients, allow_unused=True
        )
        for target, gradient in zip(parameter_gradients, found[2:], strict=True):
            if gradient is not None:
                target.add_(gradient)
        return found[:2]

    def _side(
        self,
        group: EdgeGroup,
        side: GroupSide,
        query: Query,
        rows: Tensor,
        gradients: Tensor,
        factor: float,
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Returns the loss of ranking one side, and the gradients of its query."""
        vectors = query.vectors.detach()
        bias = None if query.bias is None else query.bias.detach()
        vector_gradient = torch.empty_like(vectors)
        bias_gradient = None if bias is None else torch.empty_like(bias)
        weight = group.weight.to(vectors.dtype) * factor
        loss = vectors.new_zeros(())
        positives, positive_gradient = side.segment.of(rows), side.segment.of(gradients)
        for start, stop, chunks in _parts(group, side):
            shape = (len(chunks), (stop - start) // len(chunks))
            part = SidePart(
                queries=vectors[start:stop].view(*shape, -1),
                positives=positives[start:stop].view(*shape, -1),
                bias=_cut(bias, start, stop, shape),
                log_q=_cut(side.log_q, start, stop, shape),
                weight=weight[start:stop].view(shape),
                query_gradient=vector_gradient[start:stop].view(*shape, -1),
                positive_gradient=positive_gradient[start:stop].view(*shape, -1),
                bias_gradient=_cut(bias_gradient, start, stop, shape),
            )
            kinds = _candidates(side, part, rows, gradients, start, stop, chunks)
            loss = loss + compute_side(
                part,
                kinds,
                self._model.comparator_kind,
                self._settings,
                torch.bfloat16
                if self._precision is Precision.BFLOAT16
                else vectors.dtype,
            )
        flows = [(query.vectors, vector_gradient)]
        if query.bias is not None and bias_gradient is not None:
            flows.append((query.bias, bias_gradient))
        return loss, flows


def _flow_through_norm(rows: Tensor, unit: Tensor, gradient: Tensor) -> None:
    """Turns a gradient by unit rows into that by the rows, in place.

    (g - (g . u) u) / |x| for u = x / |x|.

    Args:
      rows: [n, D].
      unit: [n, D], the rows of norm 1.
      gradient: [n, D].
    """
    along = (gradient * unit).sum(-1, keepdim=True)
    gradient.addcmul_(along, unit, value=-1.0)
    gradient.div_(rows.norm(dim=-1, keepdim=True).clamp_min_(MIN_NORM))


def _parts(group: EdgeGroup, side: GroupSide) -> Iterator[tuple[int, int, range]]:
    """Yields (start, stop, chunks) of edges in chunks of one size.

    Few enough at a time that their scores stay in the processor's cache; one chunk
    where chunks share their negatives, whose gradients add up.
    """
    size = group.chunk_size
    num_full = len(group) // size
    num_candidates = side.num_negatives
    if side.masked_in_batch is not None:
        num_candidates += size
    at_once = max(1, _SCORES_AT_ONCE // (size * max(1, num_candidates)))
    if side.shared_negatives:
        at_once = 1
    for first in range(0, num_full, at_once):
        last = min(first + at_once, num_full)
        yield first * size, last * size, range(first, last)
    if num_full < group.num_chunks:
        yield num_full * size, len(group), range(num_full, group.num_chunks)


def _candidates(
    side: GroupSide,
    part: SidePart,
    rows: Tensor,
    gradients: Tensor,
    start: int,
    stop: int,
    chunks: range,
) -> list[Candidates]:
    """Returns the kinds of negatives of the edges [start, stop)."""
    kinds = []
    num_chunks, size, dim = part.queries.shape
    n = side.num_negatives
    if n:
        drawn, gradient = side.negatives.of(rows), side.negatives.of(gradients)
        if not side.shared_negatives:
            inside = slice(chunks.start * n, chunks.stop * n)
            drawn, gradient = drawn[inside], gradient[inside]
        log_q = side.negative_log_q
        kinds.append(
            Candidates(
                vectors=drawn.view(num_chunks, n, dim),
                masked=_inside(side.masked_negatives, start, stop, n),
                log_q=None
                if log_q is None
                else log_q[chunks.start : chunks.stop, None],
                gradient=gradient.view(num_chunks, n, dim),
                accumulate=side.shared_negatives,
            )
        )
    if side.masked_in_batch is not None:
        kinds.append(
            Candidates(
                vectors=part.positives,
                masked=_inside(side.masked_in_batch, start, stop, size),
                log_q=None if part.log_q is None else part.log_q.unsqueeze(1),
                gradient=part.positive_gradient,
                accumulate=True,
            )
        )
    return kinds


def _inside(masked: Tensor, start: int, stop: int, num_candidates: int) -> Tensor:
    """Returns the flat positions of the masked pairs of the edges [start, stop)."""
    edges, candidates = masked[0], masked[1]
    flat: Tensor = (edges - start) * num_candidates + candidates
    return flat[(edges >= start) & (edges < stop)]


def _cut(
    values: Tensor | None, start: int, stop: int, shape: tuple[int, int]
) -> Tensor | None:
    return None if values is None else values[start:stop].view(shape)


def _sides(group: EdgeGroup) -> tuple[tuple[str, GroupSide], tuple[str, GroupSide]]:
    return (group.lhs_type, group.lhs), (group.rhs_type, group.rhs)
