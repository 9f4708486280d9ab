# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Retrieval: every lhs entity of a held-out edge ranks all rhs entities."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from twhin.evaluation import metrics
from twhin.evaluation.candidates import Candidates
from twhin.evaluation.edges import Edges
from twhin.evaluation.prepared_ranking import PreparedRanking, PreparedRankingBuilder
from twhin.evaluation.ranker import Ranker
from twhin.evaluation.ranking import make_ranking, split_by_types
from twhin.graph.schema import GraphSchema
from twhin.model.side import Side


class Retrieval:
    """Recall@K, NDCG@K and hit rate of lists, with the baseline's.

    A list belongs to a lhs entity and a relation; it holds all entities of the
    rhs type but those of earlier edges: train, and valid when testing. A
    held-out edge that is an earlier one too is left out.
    """

    def __init__(
        self,
        *,
        edges: Edges,
        schema: GraphSchema,
        earlier_splits: Sequence[str],
        retrieval_at: Sequence[int],
    ) -> None:
        """Groups the edges.

        Args:
          edges: The held-out edges of the relations to evaluate, at least one.
          schema: Entity types and relations.
          earlier_splits: Where entities are known that lists leave out.
          retrieval_at: The cuts K.
        """
        self._schema = schema
        self._earlier_splits = earlier_splits
        self._retrieval_at = retrieval_at
        self._builders: list[PreparedRankingBuilder] = []
        for part in split_by_types(_distinct(edges), schema):
            name = schema.relations[int(part.rel[0])].rhs
            candidates = Candidates(
                entity_type=name, num_rows=schema.num_entities(name)
            )
            ranking = make_ranking(
                side=Side.RHS, edges=part, schema=schema, candidates=candidates
            )
            self._builders.append(PreparedRankingBuilder(ranking, schema))
        self._prepared: list[PreparedRanking] = []

    def add(self, split: str, edges: Edges) -> None:
        """Adds edges of the graph."""
        known = split in self._earlier_splits
        for builder in self._builders:
            builder.add(edges, train=split == "train", known=known)

    def finish(self) -> None:
        """Says that all edges of the graph have been added."""
        self._prepared = [builder.build() for builder in self._builders]
        self._builders = []

    def evaluate(self, ranker: Ranker) -> dict[str, float]:
        """Returns the metrics by name, "retrieval/..."; a collective."""
        limit = max(self._retrieval_at)
        ranks = [
            ranker.rank(each.ranking, each.known, limit).filtered
            for each in self._prepared
        ]
        baseline = [each.popularity.filtered for each in self._prepared]
        found: dict[str, float] = {}
        for prefix, each in ("", ranks), ("popularity/", baseline):
            found.update(self._breakdown(f"retrieval/{prefix}", each))
        return found

    def _breakdown(
        self, prefix: str, ranks: Sequence[metrics.Numbers]
    ) -> Iterator[tuple[str, float]]:
        """Yields the means over all lists, and over those of each relation."""
        kept = [_is_new(each) for each in self._prepared]
        queries = [
            np.unique(each.ranking.query[new], return_inverse=True)
            for each, new in zip(self._prepared, kept, strict=True)
        ]
        rel = np.concatenate(
            [
                each.ranking.query_rel[numbers]
                for each, (numbers, _) in zip(self._prepared, queries, strict=True)
            ]
        )
        if len(rel) == 0:
            return
        yield f"{prefix}num_lists", float(len(rel))
        for cut in self._retrieval_at:
            parts = [
                metrics.retrieval_scores(values[new], lists, cut)
                for values, new, (_, lists) in zip(ranks, kept, queries, strict=True)
            ]
            for name in parts[0]:
                values = np.concatenate([part[name] for part in parts])
                yield f"{prefix}{name}@{cut}", float(values.mean())
                for number in np.unique(rel):
                    relation = self._schema.relations[number].name
                    mean = float(values[rel == number].mean())
                    yield f"{prefix}{name}@{cut}/relation={relation}", mean


def _distinct(edges: Edges) -> Edges:
    rows = np.unique(np.stack([edges.rel, edges.lhs, edges.rhs]), axis=1)
    return Edges(rel=rows[0], lhs=rows[1], rhs=rows[2])


def _is_new(prepared: PreparedRanking) -> npt.NDArray[np.bool_]:
    """Returns [E], whether each edge is no earlier one."""
    ranking = prepared.ranking
    known: npt.NDArray[np.bool_] = prepared.known.contains(
        torch.from_numpy(ranking.query), torch.from_numpy(ranking.positive)
    ).numpy()
    return ~known
