# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Losses and gradients of a step by compiled loops on the CPU.

Gives what `FusedParts` gives, for the common objective alone. A thread takes its
share of all groups' chunks at once: however many pairs of entity types there are,
a step has as many operations.
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twhin.config.settings import Loss, LossKind
from twhin.cpu import blas, pieces, threads
from twhin.cpu.pieces import Pieces
from twhin.model import auxiliary_loss, compiled_ranking, known_flow
from twhin.model.compiled_arrays import step_chunks
from twhin.model.group_part import GroupPart, divide, join
from twhin.model.known_flow import Flow, Found
from twhin.model.ranked_chunks import (
    Objective,
    RankedSide,
    Source,
    StepChunks,
)
from twhin.model.relation_model import RelationModel
from twhin.model.relation_operator import Query
from twhin.model.step_rows import StepRows
from twhin.scoring import Comparator
from twhin.side import Side

# Gradients of more are not held once for each of many pieces.
_FEW_SHIFTS = 1 << 18


def serves(comparator: Comparator, settings: Loss, device: torch.device) -> bool:
    """Returns whether `CompiledParts` serves an objective on a device."""
    return (
        blas.HAS_PRODUCTS
        and settings.kind is LossKind.SOFTMAX
        and comparator in (Comparator.DOT, Comparator.COSINE)
        and device.type == "cpu"
    )


def is_compiled(
    comparator: Comparator, settings: Loss, rows: Tensor, matmul_dtype: torch.dtype
) -> bool:
    """Returns whether `CompiledParts` serves an objective, for rows like these."""
    return (
        serves(comparator, settings, rows.device)
        and rows.dtype is torch.float32
        and matmul_dtype in (torch.float32, torch.bfloat16)
    )


class CompiledParts:
    """The chunks of a step, shared out to threads."""

    def __init__(
        self,
        step: StepRows,
        model: RelationModel,
        settings: Loss,
        matmul_dtype: torch.dtype,
        chunks: StepChunks | None = None,
    ) -> None:
        """See `FusedParts`; `is_compiled` is true.

        Args:
          step: Rows and edges.
          model: The relations.
          settings: The objective.
          matmul_dtype: The type of the matrix products' inputs.
          chunks: Those of the step, where they have been made before.
        """
        self._step = step
        self._chunks = chunks or step_chunks(step.groups, step.rows)
        self._model = model
        self._settings = settings
        self._is_low = matmul_dtype is torch.bfloat16
        self._shares_negatives = bool(step.zero_shared())

    def run(self) -> list[Found]:
        """Computes all chunks; writes the gradients of the rows."""
        with torch.enable_grad():
            found = [self._model.shifts(side) for side in Side]
        shifts = [shift for shift in found if shift is not None]
        if len(shifts) < len(found) or auxiliary_loss.is_used(self._settings):
            chunks = [part for group in self._step.groups for part in divide(group, 1)]
            bounds = self._share_out(threads.count())
            return threads.run_all(
                [
                    functools.partial(self._compute, chunks, range(*share))
                    for share in itertools.pairwise(bounds.tolist())
                ]
            )
        return [self._compute_shifted(shifts)]

    def _share_out(self, num_shares: int) -> NDArray[np.int64]:
        """Returns the bounds of consecutive chunks with about as many edges each."""
        if self._shares_negatives:
            num_shares = 1  # Gradients of shared negatives add up.
        behind = self._chunks.edges.bounds
        goals = behind[-1] * np.arange(num_shares + 1) / num_shares
        bounds: NDArray[np.int64] = np.unique(
            np.abs(behind - goals[:, np.newaxis]).argmin(axis=1)
        )
        return bounds

    def _compute_shifted(self, shifts: Sequence[Tensor]) -> Found:
        """Leaves the way from known entities to queries to the compiled loop too."""
        chunks = self._chunks
        # A piece has gradients of its own: sums do not depend on who takes it.
        most = pieces.num_pieces(len(chunks.edges.rel) * shifts[0].shape[1])
        if shifts[0].numel() > _FEW_SHIFTS:
            most = min(most, threads.count())
        work = pieces.make_pieces(self._share_out(most))
        num_pieces = len(work.bounds) - 1
        flows = [torch.zeros(num_pieces, *shift.shape) for shift in shifts]
        sides = [
            self._ranked(side, chunks.places[place], shifts[place], flows[place])
            for place, side in enumerate(Side)
        ]
        losses = torch.zeros(num_pieces, len(Side), dtype=torch.float64)
        pieces.run(self._loop(sides, losses), work)
        lhs, rhs = losses.sum(0).float()
        return Found(
            losses=(lhs, rhs),
            auxiliary=torch.zeros(()),
            known=(None, None),
            parameters=known_flow.flow_back(
                [
                    (shift, flow.sum(0))
                    for shift, flow in zip(shifts, flows, strict=True)
                ],
                list(self._model.parameters()),
            ),
        )

    def _compute(self, chunks: Sequence[GroupPart], share: range) -> Found:
        """Leaves the ranking of queries to the compiled loop."""
        spans = list(join(chunks[share.start : share.stop]))
        found = known_flow.compute(
            (self._entities(spans, Side.LHS), self._entities(spans, Side.RHS)),
            _joined([span.of(span.group.rel) for span in spans]),
            _joined([span.of(span.group.weight) for span in spans]),
            self._model,
            self._settings,
            functools.partial(self._rank_queries, share),
        )
        for place, gradient in zip(Side, found.known, strict=True):
            if gradient is not None:
                self._add(spans, place, gradient)
        return found

    def _entities(self, spans: Sequence[GroupPart], place: Side) -> Tensor:
        """Returns the embeddings of one side of the edges, [B, D]."""
        return _joined(
            [
                span.entities_of(side).of(self._step.rows[name])
                for span in spans
                for name, side in [span.group.sides[place]]
            ]
        )

    def _add(self, spans: Sequence[GroupPart], place: Side, gradient: Tensor) -> None:
        """Adds a gradient of entities, [B, D], to that of their rows."""
        first = 0
        for span in spans:
            name, side = span.group.sides[place]
            target = span.entities_of(side).of(self._step.gradients[name])
            target.add_(gradient[first : first + len(span)])
            first += len(span)

    def _rank_queries(
        self, share: range, queries: Mapping[Side, Query]
    ) -> tuple[tuple[Tensor, Tensor], Sequence[Flow]]:
        """See `known_flow.Rank`.

        A query's bias is added to all of its scores, and does not change their
        softmax.
        """
        none = next(iter(self._step.rows.values()))[:0]
        vectors = [
            queries[side].vectors.detach() if side in queries else none for side in Side
        ]
        flows = [torch.zeros_like(table) for table in vectors]
        chunks, sides = self._chunks, []
        for place, side in enumerate(Side):
            # Known vectors are the queries of the share, which lie behind the tables.
            at = chunks.places[place].copy()
            at["known_table"] = len(chunks.tables) + place
            at["known"] = chunks.edges.bounds[:-1] - chunks.edges.bounds[share.start]
            sides.append(self._ranked(side, at, none, none[np.newaxis]))
        losses = torch.zeros(1, len(Side), dtype=torch.float64)
        work = pieces.make_pieces(np.array([share.start, share.stop]))
        self._loop(sides, losses, vectors, flows)(work)
        lhs, rhs = losses[0].float()
        return (lhs, rhs), [
            (queries[side].vectors, flow)
            for side, flow in zip(Side, flows, strict=True)
            if side in queries
        ]

    def _ranked(
        self, side: Side, at: NDArray[np.void], shift: Tensor, shift_flow: Tensor
    ) -> RankedSide:
        """Returns a side whose vectors are at some places."""
        weight = known_flow.ranked_sides(self._settings).get(side, 0.0)
        return RankedSide(
            weight=np.float32(weight),
            places=at,
            corrections=self._chunks.corrections[side is Side.RHS],
            shift=shift.detach().contiguous().numpy(),
            shift_gradient=shift_flow.numpy(),
        )

    def _loop(
        self,
        sides: Sequence[RankedSide],
        losses: Tensor,
        vectors: Sequence[Tensor] = (),
        vector_gradients: Sequence[Tensor] = (),
    ) -> Callable[[Pieces], None]:
        """Returns what ranks pieces of the chunks, and writes all gradients.

        Args:
          sides: What is ranked.
          losses: [K, 2] float64, where the losses of each piece are added.
          vectors: Tables behind those of the step.
          vector_gradients: Where their gradients are added.
        """
        step, names = self._step, self._chunks.tables
        none = torch.empty(0, dtype=torch.int64)
        chosen = step.chosen or dict.fromkeys(names, none)
        tables = [(step.rows[name], chosen[name]) for name in names]
        tables += [(table, none) for table in vectors]
        gradients = (*(step.gradients[name] for name in names), *vector_gradients)
        in_batch = (
            side.masked_in_batch is not None
            for group in step.groups
            for _, side in group.sides.values()
        )
        arguments = (
            self._chunks.edges,
            (sides[0], sides[1]),
            tuple(
                Source(table.contiguous().numpy(), rows.numpy())
                for table, rows in tables
            ),
            tuple(table.numpy() for table in gradients),
            Objective(
                factor=np.float32(1.0 / self._settings.temperature),
                is_cosine=self._model.comparator_kind is Comparator.COSINE,
                in_batch=any(in_batch),
                adds=self._shares_negatives,
                gathers=step.chosen is not None,
                is_low=self._is_low,
            ),
            losses.numpy(),
        )
        return lambda work: compiled_ranking.rank(work, *arguments)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Returns parts one behind the other; one part as it is."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
