# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Losses and gradients of a step by operations of torch, on any device."""

import functools
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from twhin.config.settings import Loss
from twhin.cpu import threads
from twhin.model import known_flow
from twhin.model.comparators import MIN_NORM, normalize
from twhin.model.edge_group import EdgeGroup
from twhin.model.fused_side import compute_side
from twhin.model.group_part import GroupPart, divide
from twhin.model.known_flow import Flow, Found
from twhin.model.relation_model import RelationModel
from twhin.model.relation_operator import Query
from twhin.model.side_part import Candidates, SidePart
from twhin.model.step_rows import StepRows
from twhin.scoring import Comparator
from twhin.side import Side

# So many scores at once that they stay in the processor's cache.
_SCORES_AT_ONCE = 1 << 21


class FusedParts:
    """The groups of a step, cut into parts with chunks of one size."""

    def __init__(
        self,
        step: StepRows,
        model: RelationModel,
        settings: Loss,
        matmul_dtype: torch.dtype,
    ) -> None:
        """Prepares negatives that all chunks share.

        Args:
          step: Rows and edges.
          model: The relations.
          settings: The objective.
          matmul_dtype: The type of the matrix products' inputs.
        """
        self._step = step
        self._model = model
        self._settings = settings
        self._matmul_dtype = matmul_dtype
        self._is_cosine = model.comparator_kind is Comparator.COSINE
        # Negatives that chunks share, as they are compared.
        self._shared = {
            (name, drawn): self._compared(drawn.of(step.rows[name]))
            for name, drawn in step.zero_shared()
        }

    def run(self) -> list[Found]:
        """Computes all parts; writes the gradients of the rows."""
        step = self._step
        parts = [
            part
            for group in step.groups
            for part in divide(group, 1 if self._shared else _chunks_at_once(group))
        ]
        calls = [functools.partial(self._compute, part) for part in parts]
        # Gradients of shared negatives add up, and few parts leave threads idle.
        if self._shared or 2 * len(calls) <= threads.count():
            found = threads.run_in_turn(calls)
        else:
            found = threads.run_all(calls)
        for (name, drawn), compared in self._shared.items():
            self._flow_back(
                drawn.of(step.rows[name]), compared, drawn.of(step.gradients[name])
            )
        return found

    def _compute(self, part: GroupPart) -> Found:
        sides = part.group.sides
        lhs, rhs = (
            part.entities_of(side).of(self._step.rows[name])
            for name, side in sides.values()
        )
        found = known_flow.compute(
            (lhs, rhs),
            part.of(part.group.rel),
            part.of(part.group.weight),
            self._model,
            self._settings,
            functools.partial(self._rank, part),
        )
        for (name, side), gradient in zip(sides.values(), found.known, strict=True):
            if gradient is not None:
                part.entities_of(side).of(self._step.gradients[name]).add_(gradient)
        return found

    def _rank(
        self, part: GroupPart, queries: Mapping[Side, Query]
    ) -> tuple[tuple[Tensor, Tensor], Sequence[Flow]]:
        """See `known_flow.Rank`."""
        factors = known_flow.ranked_sides(self._settings)
        losses: list[Tensor] = []
        flows: list[Flow] = []
        for side in Side:
            if side not in queries:
                self._step.skip(part, side)
                losses.append(part.group.weight.new_zeros(()))
                continue
            weight = part.of(part.group.weight) * factors[side]
            loss, more = self._rank_side(part, side, queries[side], weight)
            losses.append(loss)
            flows += more
        return (losses[0], losses[1]), flows

    def _rank_side(
        self, part: GroupPart, place: Side, query: Query, weight: Tensor
    ) -> tuple[Tensor, Sequence[Flow]]:
        """Returns the loss of one side, and what flows back to its queries."""
        name, side = part.group.sides[place]
        rows, gradients = self._step.rows[name], self._step.gradients[name]
        with torch.enable_grad():
            compared = self._compared(query.vectors)
        vectors = compared.detach()
        shape = (len(part.chunks), len(part) // len(part.chunks))
        bias = None if query.bias is None else query.bias.detach()
        vector_gradient = torch.empty_like(vectors)
        bias_gradient = None if bias is None else torch.empty_like(bias)
        entities, drawn = part.entities_of(side), part.negatives_of(side)
        # Candidates are compared as they are, or as vectors of norm 1.
        positives = self._compared(entities.of(rows))
        if side.shared_negatives:
            negatives = self._shared[name, drawn]
        else:
            negatives = self._compared(drawn.of(rows))
        side_part = SidePart(
            queries=vectors.view(*shape, -1),
            positives=positives.view(*shape, -1),
            bias=_shaped(bias, shape),
            log_q=_shaped(None if side.log_q is None else part.of(side.log_q), shape),
            weight=weight.to(vectors.dtype).view(shape),
            query_gradient=vector_gradient.view(*shape, -1),
            positive_gradient=entities.of(gradients).view(*shape, -1),
            bias_gradient=_shaped(bias_gradient, shape),
        )
        loss = compute_side(
            side_part,
            list(_candidates(part, place, side_part, negatives, drawn.of(gradients))),
            self._model.comparator_kind,
            self._settings,
            self._matmul_dtype,
        )
        self._flow_back(entities.of(rows), positives, entities.of(gradients))
        if not side.shared_negatives:
            self._flow_back(drawn.of(rows), negatives, drawn.of(gradients))
        flows = [(compared, vector_gradient)]
        if query.bias is not None and bias_gradient is not None:
            flows.append((query.bias, bias_gradient))
        return loss, flows

    def _compared(self, rows: Tensor) -> Tensor:
        """Returns vectors as they are compared: as they are, or of norm 1."""
        return normalize(rows) if self._is_cosine else rows

    def _flow_back(self, rows: Tensor, compared: Tensor, gradient: Tensor) -> None:
        """Turns a gradient by `_compared(rows)` into that by rows, in place.

        (g - (g . u) u) / |x| for u = x / |x|.
        """
        if not self._is_cosine:
            return
        along = (gradient * compared).sum(-1, keepdim=True)
        gradient.addcmul_(along, compared, value=-1.0)
        gradient.div_(rows.norm(dim=-1, keepdim=True).clamp_min_(MIN_NORM))


def _chunks_at_once(group: EdgeGroup) -> int:
    size = group.chunk_size
    candidates = max(
        side.num_negatives + (0 if side.masked_in_batch is None else size)
        for _, side in group.sides.values()
    )
    at_once = _SCORES_AT_ONCE // (size * max(1, candidates))
    # Each thread has a part.
    return max(1, min(at_once, -(-group.num_chunks // threads.count())))


def _candidates(
    part: GroupPart,
    place: Side,
    side_part: SidePart,
    negatives: Tensor,
    gradient: Tensor,
) -> Iterator[Candidates]:
    """Yields the kinds of negatives of a part's edges."""
    _, side = part.group.sides[place]
    num_chunks, size, dim = side_part.queries.shape
    n = side.num_negatives
    if n:
        log_q = side.negative_log_q
        if log_q is not None:
            log_q = log_q[part.chunks.start : part.chunks.stop, None]
        yield Candidates(
            vectors=negatives.view(num_chunks, n, dim),
            masked=_inside(side.masked_negatives, part, n),
            log_q=log_q,
            gradient=gradient.view(num_chunks, n, dim),
            accumulate=side.shared_negatives,
        )
    if side.masked_in_batch is not None:
        log_q = side_part.log_q
        yield Candidates(
            vectors=side_part.positives,
            masked=_inside(side.masked_in_batch, part, size),
            log_q=None if log_q is None else log_q.unsqueeze(1),
            gradient=side_part.positive_gradient,
            accumulate=True,
        )


def _inside(masked: Tensor, part: GroupPart, num_candidates: int) -> Tensor:
    """Returns the flat positions of the masked pairs of a part's edges."""
    edges, candidates = part.pairs_of(masked)
    flat: Tensor = edges * num_candidates + candidates
    return flat


def _shaped(values: Tensor | None, shape: tuple[int, int]) -> Tensor | None:
    return None if values is None else values.view(shape)
