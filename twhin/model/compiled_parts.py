# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Losses and gradients of a step by compiled loops on the CPU.

Gives what `FusedParts` gives, for the common objective alone. A thread takes its
share of all groups' chunks at once: however many pairs of entity types there are,
a step has as many operations.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from twhin.config.settings import Comparator, Loss, LossKind
from twhin.cpu import blas, threads
from twhin.model import compiled_softmax, known_flow
from twhin.model.compiled_softmax import Chunks, Corrections, Objective
from twhin.model.group_part import GroupPart, divide, join
from twhin.model.known_flow import Flow, Found
from twhin.model.operators import Query
from twhin.model.relation_model import RelationModel
from twhin.model.side import Side
from twhin.model.step_rows import StepRows


def is_compiled(
    comparator: Comparator, settings: Loss, rows: Tensor, matmul_dtype: torch.dtype
) -> bool:
    """Returns whether `CompiledParts` serves an objective, for rows like these."""
    return (
        blas.HAS_SGEMM
        and settings.kind is LossKind.SOFTMAX
        and comparator in (Comparator.DOT, Comparator.COSINE)
        and matmul_dtype is rows.dtype is torch.float32
        and rows.device.type == "cpu"
    )


class CompiledParts:
    """The chunks of a step, shared out to threads."""

    def __init__(self, step: StepRows, model: RelationModel, settings: Loss) -> None:
        """See `FusedParts`; `is_compiled` is true."""
        self._step = step
        self._model = model
        self._settings = settings
        self._tables = {name: place for place, name in enumerate(step.rows)}
        self._shares_negatives = bool(step.zero_shared())

    def run(self) -> list[Found]:
        """Computes all chunks; writes the gradients of the rows."""
        chunks = [part for group in self._step.groups for part in divide(group, 1)]
        # Gradients of shared negatives add up: one thread takes all chunks.
        num_parts = 1 if self._shares_negatives else threads.count()
        calls = [
            functools.partial(self._compute, part)
            for part in _share_out(chunks, num_parts)
        ]
        return threads.run_all(calls)

    def _compute(self, chunks: Sequence[GroupPart]) -> Found:
        spans = list(join(chunks))
        found = known_flow.compute(
            (self._entities(spans, Side.LHS), self._entities(spans, Side.RHS)),
            _joined([span.of(span.group.rel) for span in spans]),
            _joined([span.of(span.group.weight) for span in spans]),
            self._model,
            self._settings,
            functools.partial(self._rank, chunks),
            functools.partial(self._step.skip, spans),
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

    def _rank(
        self,
        chunks: Sequence[GroupPart],
        place: Side,
        query: Query,
        weight: Tensor,
    ) -> tuple[Tensor, Sequence[Flow]]:
        """See `known_flow.Rank`.

        A query's bias is added to all of its scores, and does not change their
        softmax.
        """
        gradient = torch.empty_like(query.vectors)
        loss = compiled_softmax.rank(
            query.vectors.detach().contiguous().numpy(),
            weight.numpy(),
            tuple(table.numpy() for table in self._step.rows.values()),
            tuple(table.numpy() for table in self._step.gradients.values()),
            gradient.numpy(),
            self._describe(chunks, place),
            _corrections(chunks, place),
            Objective(
                factor=np.float32(1.0 / self._settings.temperature),
                is_cosine=self._model.comparator_kind is Comparator.COSINE,
                in_batch=chunks[0].group.sides[place][1].masked_in_batch is not None,
                adds=self._shares_negatives,
            ),
        )
        return torch.tensor(loss), [(query.vectors, gradient)]

    def _describe(self, chunks: Sequence[GroupPart], place: Side) -> Chunks:
        """Returns where the chunks' edges, entities and negatives are."""
        columns = np.empty((7, len(chunks)), dtype=np.int64)
        first = first_log_q = 0
        for column, chunk in zip(columns.T, chunks, strict=True):
            name, side = chunk.group.sides[place]
            column[:] = (
                self._tables[name],
                first,
                len(chunk),
                chunk.entities_of(side).start,
                chunk.negatives_of(side).start,
                side.num_negatives,
                first_log_q,
            )
            first += len(chunk)
            first_log_q += side.num_negatives
        return Chunks(*columns)


def _share_out(
    chunks: Sequence[GroupPart], num_parts: int
) -> Iterator[Sequence[GroupPart]]:
    """Yields consecutive chunks, about as many edges each time."""
    behind = np.cumsum([0, *map(len, chunks)])
    goals = behind[-1] * np.arange(num_parts + 1) / num_parts
    bounds = np.abs(behind - goals[:, np.newaxis]).argmin(axis=1)
    for start, stop in itertools.pairwise(bounds.tolist()):
        if start < stop:
            yield chunks[start:stop]


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Returns parts one behind the other; one part as it is."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _corrections(chunks: Sequence[GroupPart], place: Side) -> Corrections:
    """Returns what changes the scores of the chunks, edges counted over all."""
    edges, columns = [], []
    log_q = [np.empty(0, dtype=np.float32)]
    negative_log_q = [np.empty(0, dtype=np.float32)]
    first = 0
    for chunk in chunks:
        _, side = chunk.group.sides[place]
        for masked, offset in (
            (side.masked_negatives, 0),
            (side.masked_in_batch, side.num_negatives),
        ):
            if masked is not None:
                inside = chunk.pairs_of(masked).numpy()
                edges.append(inside[0] + first)
                columns.append(inside[1] + offset)
        if side.log_q is not None and side.negative_log_q is not None:
            log_q.append(chunk.of(side.log_q).numpy())
            negative_log_q.append(side.negative_log_q[chunk.chunks.start].numpy())
        first += len(chunk)
    masked_edges = np.concatenate(edges)
    order = np.argsort(masked_edges)
    return Corrections(
        masked_edges=masked_edges[order],
        masked_columns=np.concatenate(columns)[order],
        log_q=np.concatenate(log_q),
        negative_log_q=np.concatenate(negative_log_q),
    )
