# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Turns a batch of edges into the rows, chunks and negatives of a step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from twhin.config.settings import KnownEdges as MaskKnown
from twhin.config.settings import Negatives
from twhin.graph.edge_batch import EdgeBatch
from twhin.graph.schema import GraphSchema
from twhin.model.edge_group import EdgeGroup, GroupSide, Segment
from twhin.training import masked_pairs
from twhin.training.known_edges import KnownEdges
from twhin.training.masked_pairs import Candidates, SideEdges
from twhin.training.negative_sampler import NegativeSampler
from twhin.training.step_batch import StepBatch

_LEFT_OUT = -1


class StepBatchBuilder:
    """Groups edges by pair of entity types, and gives each chunk its negatives.

    A result depends on the edges, the step, the seed and the rank only.
    """

    def __init__(
        self,
        *,
        schema: GraphSchema,
        settings: Negatives,
        loss_weights: Sequence[float],
        batch_size: int,
        seed: int,
        rank: int = 0,
        degrees: Mapping[str, NDArray[np.int64]] | None = None,
        known_edges: KnownEdges | None = None,
    ) -> None:
        """Prepares the groups.

        Args:
          schema: Entity types and relations.
          settings: The negatives of a chunk, and which of them are masked.
          loss_weights: The factor on the loss of each relation, in order of the
            schema; edges of relations with factor 0 are left out.
          batch_size: Edges per batch of a rank: chunks are numbered over all ranks.
          seed: The seed of the run.
          rank: This rank.
          degrees: As `NegativeSampler` needs it.
          known_edges: All training edges; needed to mask them.

        Raises:
          ValueError: The settings need degrees or known edges that are not given.
        """
        if settings.mask_known is MaskKnown.TRAIN and known_edges is None:
            raise ValueError("mask_known TRAIN needs known_edges")
        self._schema = schema
        self._settings = settings
        self._known_edges = known_edges
        self._first_chunk = rank * -(-batch_size // settings.chunk_size)
        self._loss_weights = np.array(loss_weights, dtype=np.float32)
        self._pairs = list(dict.fromkeys((r.lhs, r.rhs) for r in schema.relations))
        self._pair_of_relation = np.array(
            [
                self._pairs.index((relation.lhs, relation.rhs)) if weight else _LEFT_OUT
                for relation, weight in zip(schema.relations, loss_weights, strict=True)
            ],
            dtype=np.int16,
        )
        self._num_entities = {
            entity_type.name: entity_type.num_entities
            for entity_type in schema.entity_types
        }
        self._sampler = NegativeSampler(
            settings=settings,
            num_entities=self._num_entities,
            degrees=degrees,
            seed=seed,
        )

    def build(self, batch: EdgeBatch, step: int) -> StepBatch:
        """Builds the batch of a step.

        Args:
          batch: Edges, any number of them.
          step: The number of the step: each has negatives of its own.
        """
        lhs, rel, rhs = batch.lhs.numpy(), batch.rel.numpy(), batch.rhs.numpy()
        weight = self._loss_weights[rel]
        if batch.weight is not None:
            weight = weight * batch.weight.numpy()
        rows = _RowList(self._num_entities)
        groups = tuple(
            self._build_group(
                _GroupEdges(
                    pair=pair,
                    lhs=lhs[edges],
                    rel=rel[edges],
                    rhs=rhs[edges],
                    weight=weight[edges],
                ),
                step,
                rows,
            )
            for pair, edges in self._split(rel)
        )
        return StepBatch(
            rows=rows.concatenated(),
            groups=groups,
            num_edges=sum(map(len, groups)),
        )

    def _split(
        self, rel: NDArray[np.int64]
    ) -> list[tuple[int, NDArray[np.int64] | slice]]:
        """Returns the edges of each pair of entity types that has any, in order."""
        pair = self._pair_of_relation[rel]
        counts = np.bincount(pair - _LEFT_OUT, minlength=len(self._pairs) + 1)
        if counts.max(initial=0) == len(rel):
            order: NDArray[np.int64] | None = None
        else:
            order = np.argsort(pair, kind="stable")
        bounds = np.cumsum(counts)
        return [
            (
                index,
                slice(None)
                if order is None
                else order[bounds[index] : bounds[index + 1]],
            )
            for index in range(len(self._pairs))
            if counts[index + 1]
        ]

    def _build_group(
        self, edges: "_GroupEdges", step: int, rows: "_RowList"
    ) -> EdgeGroup:
        lhs_type, rhs_type = self._pairs[edges.pair]
        return EdgeGroup(
            lhs_type=lhs_type,
            rhs_type=rhs_type,
            rel=torch.from_numpy(edges.rel),
            weight=torch.from_numpy(edges.weight),
            chunk_size=self._settings.chunk_size,
            lhs=self._build_side("lhs", edges, step, rows),
            rhs=self._build_side("rhs", edges, step, rows),
        )

    def _build_side(
        self, side: str, edges: "_GroupEdges", step: int, rows: "_RowList"
    ) -> GroupSide:
        """Adds a side's rows to the list, and describes them."""
        settings = self._settings
        entity_type = self._pairs[edges.pair][side == "rhs"]
        seen = self._side_edges(side, edges)
        segment = rows.append(entity_type, seen.sought)
        if settings.all_entities:
            masked = self._masked_rows(seen)
            return GroupSide(
                segment=segment,
                negatives=rows.append_all(entity_type),
                num_negatives=self._num_entities[entity_type],
                shared_negatives=True,
                masked_negatives=_stack(masked),
                masked_in_batch=None,
                log_q=None,
                negative_log_q=None,
            )
        negatives = self._sampler.draw(
            entity_type,
            step=step,
            purpose=2 * edges.pair + (side == "rhs"),
            first_chunk=self._first_chunk,
            num_chunks=int(seen.chunk[-1]) + 1,
        )
        return GroupSide(
            segment=segment,
            negatives=rows.append(entity_type, negatives.reshape(-1)),
            num_negatives=self._sampler.num_negatives,
            shared_negatives=False,
            masked_negatives=_stack(self._masked(seen, _drawn_candidates(negatives))),
            masked_in_batch=_stack(self._masked(seen, self._chunk_candidates(seen)))
            if settings.in_batch
            else None,
            log_q=self._log_q(entity_type, seen.sought),
            negative_log_q=self._log_q(entity_type, negatives),
        )

    def _side_edges(self, side: str, edges: "_GroupEdges") -> SideEdges:
        lhs_type, rhs_type = self._pairs[edges.pair]
        known, sought = (
            (edges.rhs, edges.lhs) if side == "lhs" else (edges.lhs, edges.rhs)
        )
        known_type, sought_type = (
            (rhs_type, lhs_type) if side == "lhs" else (lhs_type, rhs_type)
        )
        return SideEdges(
            side=side,
            chunk=np.arange(len(edges.rel)) // self._settings.chunk_size,
            rel=edges.rel,
            known=known,
            sought=sought,
            num_known=self._num_entities[known_type],
            num_sought=self._num_entities[sought_type],
            num_relations=len(self._schema.relations),
        )

    def _chunk_candidates(self, seen: SideEdges) -> Candidates:
        """Returns the entities of each chunk's own edges."""
        position = np.arange(len(seen.sought))
        return Candidates(
            chunk=seen.chunk,
            row=seen.sought,
            column=position - seen.chunk * self._settings.chunk_size,
        )

    def _masked(
        self, seen: SideEdges, candidates: Candidates
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the pairs (edge, column) that are masked."""
        match self._settings.mask_known:
            case MaskKnown.SELF:
                return masked_pairs.find_self(seen, candidates)
            case MaskKnown.BATCH:
                return masked_pairs.find_in_batch(seen, candidates)
            case MaskKnown.TRAIN:
                assert self._known_edges is not None
                return masked_pairs.find_in_train(seen, candidates, self._known_edges)

    def _masked_rows(
        self, seen: SideEdges
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the pairs (edge, row) that are masked among all entities."""
        match self._settings.mask_known:
            case MaskKnown.SELF:
                return masked_pairs.find_all_self(seen)
            case MaskKnown.BATCH:
                return masked_pairs.find_all_in_batch(seen)
            case MaskKnown.TRAIN:
                assert self._known_edges is not None
                return masked_pairs.find_all_in_train(seen, self._known_edges)

    def _log_q(self, entity_type: str, rows: NDArray[np.int64]) -> torch.Tensor | None:
        if not self._settings.logq_correction:
            return None
        return torch.from_numpy(self._sampler.log_q(entity_type, rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class _GroupEdges:
    """The B edges of the pair of entity types with number `pair`; all arrays [B]."""

    pair: int
    lhs: NDArray[np.int64]
    rel: NDArray[np.int64]
    rhs: NDArray[np.int64]
    weight: NDArray[np.float32]


class _RowList:
    """The rows of each entity type that a step looks up, as they are found."""

    def __init__(self, num_entities: Mapping[str, int]) -> None:
        self._num_entities = num_entities
        self._parts: dict[str, list[NDArray[np.int64]]] = {
            name: [] for name in num_entities
        }
        self._lengths = dict.fromkeys(num_entities, 0)
        self._all: dict[str, Segment] = {}

    def append(self, entity_type: str, rows: NDArray[np.int64]) -> Segment:
        """Adds rows, and returns where they are."""
        start = self._lengths[entity_type]
        self._parts[entity_type].append(rows)
        self._lengths[entity_type] += len(rows)
        return Segment(start=start, stop=start + len(rows))

    def append_all(self, entity_type: str) -> Segment:
        """Adds the rows of the whole table, once for all who need them."""
        if entity_type not in self._all:
            rows = np.arange(self._num_entities[entity_type])
            self._all[entity_type] = self.append(entity_type, rows)
        return self._all[entity_type]

    def concatenated(self) -> dict[str, torch.Tensor]:
        """Returns the rows of every entity type."""
        return {
            name: torch.from_numpy(np.concatenate(parts))
            if parts
            else torch.empty(0, dtype=torch.int64)
            for name, parts in self._parts.items()
        }


def _drawn_candidates(negatives: NDArray[np.int64]) -> Candidates:
    """Returns the drawn negatives [P, N] of each chunk."""
    num_chunks, num_negatives = negatives.shape
    return Candidates(
        chunk=np.repeat(np.arange(num_chunks), num_negatives),
        row=negatives.reshape(-1),
        column=np.tile(np.arange(num_negatives), num_chunks),
    )


def _stack(pairs: tuple[NDArray[np.int64], NDArray[np.int64]]) -> torch.Tensor:
    """Returns pairs as [2, M] int64."""
    return torch.from_numpy(np.stack(pairs))
