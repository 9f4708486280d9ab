# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Turns a batch of edges into the rows, chunks and negatives of a step."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from twhin.config.settings import Negatives
from twhin.graph.edge_batch import EdgeBatch
from twhin.graph.schema import GraphSchema
from twhin.model import compiled_arrays
from twhin.model.edge_group import EdgeGroup, GroupSide, Segment
from twhin.side import Side
from twhin.training import chunk_negatives, known_masks, masked_pairs
from twhin.training.edge_exchange import EdgeExchange, PairEdges
from twhin.training.known_edges import KnownEdges
from twhin.training.known_masks import KnownMasks
from twhin.training.masked_pairs import Candidates, SideEdges
from twhin.training.negative_sampler import NegativeSampler
from twhin.training.row_list import RowList
from twhin.training.step_batch import StepBatch

_LEFT_OUT = -1


class StepBatchBuilder:
    """Groups edges by pair of entity types, and gives each chunk its negatives.

    A result depends on the edges, the step, the seed and the rank only, and on the
    other ranks' edges where negatives are shared.
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
        world_size: int = 1,
        shared_group: dist.ProcessGroup | None = None,
        degrees: Mapping[str, NDArray[np.int64]] | None = None,
        known_edges: KnownEdges | None = None,
        ranked_sides: Collection[Side] = tuple(Side),
        for_compiled_loops: bool = False,
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
          world_size: The number of ranks.
          shared_group: All ranks, for tensors on the CPU and for nobody but the
            thread that builds; needed by `share_across_ranks` with several ranks.
          degrees: As `NegativeSampler` needs it.
          known_edges: All training edges; needed to mask them.
          ranked_sides: The others need no negatives.
          for_compiled_loops: Whether batches have `chunks`, which a step would
            otherwise make itself.

        Raises:
          ValueError: The settings need degrees, known edges or a group that are not
            given.
        """
        self._settings = settings
        self._ranked_sides = ranked_sides
        self._for_compiled_loops = for_compiled_loops
        self._num_relations = len(schema.relations)
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
        self._exchange: EdgeExchange | None = None
        num_sharing = world_size if settings.share_across_ranks else 1
        if num_sharing > 1:
            if shared_group is None:
                raise ValueError("share_across_ranks needs shared_group")
            self._exchange = EdgeExchange(shared_group, len(self._pairs))
        self._masks = KnownMasks(settings.mask_known, known_edges)
        self._sampler = NegativeSampler(
            settings=settings,
            num_entities=self._num_entities,
            degrees=degrees,
            seed=seed,
            num_in_batch=settings.in_batch * settings.chunk_size * num_sharing,
        )

    def build(self, batch: EdgeBatch, step: int) -> StepBatch:
        """Builds the batch of a step.

        With shared negatives it is a collective: every rank calls it for every step,
        with or without edges.

        Args:
          batch: Edges, any number of them.
          step: The number of the step: each has negatives of its own.
        """
        lhs, rel, rhs = batch.lhs.numpy(), batch.rel.numpy(), batch.rhs.numpy()
        weight = self._loss_weights[rel]
        if batch.weight is not None:
            weight = weight * batch.weight.numpy()
        places = self._split(rel)
        parts = [
            PairEdges(pair=pair, lhs=lhs[edges], rel=rel[edges], rhs=rhs[edges])
            for pair, edges in places
        ]
        others: list[list[PairEdges]] = [[] for _ in self._pairs]
        if self._exchange is not None:
            others = self._exchange.gather(parts)
        rows = RowList(self._num_entities)
        groups = tuple(
            self._build_group(part, weight[edges], others[part.pair], step, rows)
            for part, (_, edges) in zip(parts, places, strict=True)
        )
        looked_up, chunks = rows.concatenated(), None
        if groups and self._for_compiled_loops:
            chunks = compiled_arrays.step_chunks(groups, looked_up)
        return StepBatch(
            rows=looked_up,
            groups=groups,
            num_edges=sum(map(len, groups)),
            chunks=chunks,
        )

    def _split(
        self, rel: NDArray[np.int64]
    ) -> list[tuple[int, NDArray[np.int64] | slice]]:
        """Returns the edges of each pair of entity types that has any, in order."""
        pair = self._pair_of_relation[rel]
        counts = np.bincount(pair - _LEFT_OUT, minlength=len(self._pairs) + 1)
        order: NDArray[np.int64] | None = None
        if counts.max(initial=0) < len(rel):
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
        self,
        edges: PairEdges,
        weight: NDArray[np.float32],
        others: Sequence[PairEdges],
        step: int,
        rows: RowList,
    ) -> EdgeGroup:
        lhs_type, rhs_type = self._pairs[edges.pair]
        lhs, rhs = (
            self._build_side(side, edges, others, step, rows)
            for side in (Side.LHS, Side.RHS)
        )
        return EdgeGroup(
            lhs_type=lhs_type,
            rhs_type=rhs_type,
            rel=torch.from_numpy(edges.rel),
            weight=torch.from_numpy(weight),
            chunk_size=self._chunk_size(len(edges)),
            lhs=lhs,
            rhs=rhs,
        )

    def _build_side(
        self,
        side: Side,
        edges: PairEdges,
        others: Sequence[PairEdges],
        step: int,
        rows: RowList,
    ) -> GroupSide:
        """Adds a side's rows to the list, and describes them."""
        entity_type = self._pairs[edges.pair][side is Side.RHS]
        seen = self._side_edges(side, edges)
        segment = rows.append(entity_type, seen.sought)
        if side not in self._ranked_sides:
            return GroupSide(
                segment=segment,
                negatives=Segment(start=0, stop=0),
                num_negatives=0,
                shared_negatives=False,
                masked_negatives=torch.empty(2, 0, dtype=torch.int64),
                masked_in_batch=None,
                log_q=None,
                negative_log_q=None,
            )
        if self._settings.all_entities:
            return GroupSide(
                segment=segment,
                negatives=rows.append_all(entity_type),
                num_negatives=self._num_entities[entity_type],
                shared_negatives=True,
                masked_negatives=self._masks.find_all(seen),
                masked_in_batch=None,
                log_q=None,
                negative_log_q=None,
            )
        chunk_size = self._chunk_size(len(edges))
        drawn = self._sampler.draw(
            entity_type,
            step=step,
            purpose=2 * edges.pair + (side is Side.RHS),
            first_chunk=self._first_chunk,
            num_chunks=-(-len(edges) // chunk_size),
        )
        shared = [self._side_edges(side, other) for other in others]
        negatives = chunk_negatives.add_shared(
            drawn, [other.sought for other in shared], chunk_size
        )
        makers = masked_pairs.concatenate([seen, *shared]) if shared else seen
        masked = self._masks.find(seen, negatives.candidates(), makers)
        absent = known_masks.stack(negatives.absent_pairs(seen.chunk))
        return GroupSide(
            segment=segment,
            negatives=rows.append(entity_type, negatives.rows.reshape(-1)),
            num_negatives=negatives.rows.shape[1],
            shared_negatives=False,
            masked_negatives=torch.cat((masked, absent), dim=1),
            masked_in_batch=self._masks.find(seen, self._own_candidates(seen), makers)
            if self._settings.in_batch
            else None,
            log_q=self._log_q(entity_type, seen.sought),
            negative_log_q=self._log_q(entity_type, negatives.rows),
        )

    def _chunk_size(self, num_edges: int) -> int:
        """Returns C for a group: near the configured size, for chunks of one size.

        A short chunk at the end would cost as many operations as all others.
        Where ranks share negatives, theirs are matched chunk by chunk, and the
        size is the configured one.
        """
        size = self._settings.chunk_size
        if self._exchange is not None:
            return size
        num_chunks = max(1, round(num_edges / size))
        return -(-num_edges // num_chunks)

    def _side_edges(self, side: Side, edges: PairEdges) -> SideEdges:
        types = self._pairs[edges.pair]
        known, sought, known_type, sought_type = (
            (edges.rhs, edges.lhs, types[1], types[0])
            if side is Side.LHS
            else (edges.lhs, edges.rhs, types[0], types[1])
        )
        return SideEdges(
            side=side,
            chunk=np.arange(len(edges)) // self._chunk_size(len(edges)),
            rel=edges.rel,
            known=known,
            sought=sought,
            num_known=self._num_entities[known_type],
            num_sought=self._num_entities[sought_type],
            num_relations=self._num_relations,
        )

    def _own_candidates(self, seen: SideEdges) -> Candidates:
        """Returns the entities of each chunk's own edges."""
        position = np.arange(len(seen.sought))
        return Candidates(
            chunk=seen.chunk,
            row=seen.sought,
            column=position - seen.chunk * self._chunk_size(len(position)),
        )

    def _log_q(self, entity_type: str, rows: NDArray[np.int64]) -> Tensor | None:
        if not self._settings.logq_correction:
            return None
        return torch.from_numpy(self._sampler.log_q(entity_type, rows))
