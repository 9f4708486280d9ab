# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Retrieval: every lhs entity of a held-out edge ranks all rhs entities."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from twhin.evaluation import metrics
from twhin.evaluation.candidates import Candidates
from twhin.evaluation.edges import Integers
from twhin.evaluation.known_edges import KnownEdges
from twhin.evaluation.mixture_ranker import MixtureRanker
from twhin.evaluation.prepared_ranking import PreparedRanking, PreparedRankingBuilder
from twhin.evaluation.ranker import Ranker
from twhin.evaluation.ranking import make_ranking, split_by_types
from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.schema import GraphSchema
from twhin.side import Side


class Retrieval:
    """Recall@K, NDCG@K and hit rate of lists, with the baseline's.

    A list belongs to a lhs entity and a relation; it holds all entities of the
    rhs type but those of earlier edges: train, and valid when testing. A
    held-out edge that is an earlier one too is left out.
    """

    def __init__(
        self,
        *,
        edges: EdgeColumns,
        schema: GraphSchema,
        earlier_splits: Sequence[str],
        retrieval_at: Sequence[int],
        with_mixture: bool = False,
    ) -> None:
        """Groups the edges.

        Args:
          edges: The held-out edges of the relations to evaluate, at least one.
          schema: Entity types and relations.
          earlier_splits: Where entities are known that lists leave out.
          retrieval_at: The cuts K.
          with_mixture: Whether mixtures will rank too: keeps the training edges
            of the relations, 8 bytes each and twice that while they are read.
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
        self._lists: list[_Lists] = []
        self._training_edges = (
            {int(rel): _TrainingEdges(int(rel), schema) for rel in np.unique(edges.rel)}
            if with_mixture
            else {}
        )
        self._training_index: dict[int, KnownEdges] = {}

    def add(self, split: str, edges: EdgeColumns) -> None:
        """Adds edges of the graph."""
        known = split in self._earlier_splits
        for builder in self._builders:
            builder.add(edges, train=split == "train", known=known)
        if split == "train":
            for each in self._training_edges.values():
                each.add(edges)

    def finish(self) -> None:
        """Says that all edges of the graph have been added."""
        self._prepared = [builder.build() for builder in self._builders]
        self._lists = [_make_lists(each) for each in self._prepared]
        self._builders = []
        self._training_index = {
            rel: each.build() for rel, each in self._training_edges.items()
        }
        self._training_edges = {}

    def evaluate(
        self, ranker: Ranker, mixture_ranker: MixtureRanker | None = None
    ) -> dict[str, float]:
        """Returns the metrics by name, "retrieval/..."; a collective.

        Args:
          ranker: Ranks by single vectors.
          mixture_ranker: Ranks by mixtures; None for no such metrics.
        """
        rel = np.concatenate([lists.rel for lists in self._lists])
        if len(rel) == 0:
            return {}
        limit = max(self._retrieval_at)
        model = [
            ranker.rank(each.ranking, each.known, limit).filtered
            for each in self._prepared
        ]
        popularity = [each.popularity.filtered for each in self._prepared]
        rankings = {"": model, "popularity/": popularity}
        if mixture_ranker is not None:
            rankings["mixture/"] = [
                mixture_ranker.rank(
                    each.ranking, each.known, self._training_index, limit
                )
                for each in self._prepared
            ]
        found = {"retrieval/num_lists": float(len(rel))}
        for prefix, ranks in rankings.items():
            found.update(self._breakdown(f"retrieval/{prefix}", ranks, rel))
        return found

    def _breakdown(
        self, prefix: str, ranks: Sequence[metrics.Numbers], rel: Integers
    ) -> Iterator[tuple[str, float]]:
        """Yields the means over all lists, and over those of each relation."""
        for cut in self._retrieval_at:
            parts = [
                metrics.retrieval_scores(values[lists.is_new], lists.number, cut)
                for values, lists in zip(ranks, self._lists, strict=True)
            ]
            for name in parts[0]:
                values = np.concatenate([part[name] for part in parts])
                yield f"{prefix}{name}@{cut}", float(values.mean())
                for number in np.unique(rel):
                    relation = self._schema.relations[number].name
                    mean = float(values[rel == number].mean())
                    yield f"{prefix}{name}@{cut}/relation={relation}", mean


class _TrainingEdges:
    """Collects the training edges of one relation."""

    def __init__(self, rel: int, schema: GraphSchema) -> None:
        """Starts without edges."""
        self._rel = rel
        self._num_rhs = schema.num_entities(schema.relations[rel].rhs)
        self._parts = [np.empty(0, dtype=np.int64)]

    def add(self, edges: EdgeColumns) -> None:
        """Adds edges of any relations."""
        ours = edges.rel == self._rel
        self._parts.append(edges.lhs[ours] * self._num_rhs + edges.rhs[ours])

    def build(self) -> KnownEdges:
        """Returns the index; the number of a query is a row of the lhs."""
        pairs = np.unique(np.concatenate(self._parts))
        return KnownEdges(torch.from_numpy(pairs), self._num_rhs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lists:
    """The lists of E held-out edges; L have an edge that is no earlier one.

    Attributes:
      is_new: [E] bool, whether each edge is no earlier one; F of them are.
      number: [F] int64, the list of each such edge, in [0, L).
      rel: [L] int64, the relation of each list.
    """

    is_new: npt.NDArray[np.bool_]
    number: Integers
    rel: Integers


def _make_lists(prepared: PreparedRanking) -> _Lists:
    ranking = prepared.ranking
    is_known = prepared.known.contains(
        torch.from_numpy(ranking.query), torch.from_numpy(ranking.positive)
    ).numpy()
    queries, number = np.unique(ranking.query[~is_known], return_inverse=True)
    return _Lists(is_new=~is_known, number=number, rel=ranking.query_rel[queries])


def _distinct(edges: EdgeColumns) -> EdgeColumns:
    rows = np.unique(np.stack([edges.rel, edges.lhs, edges.rhs]), axis=1)
    return EdgeColumns(lhs=rows[1], rel=rows[0], rhs=rows[2], weight=None)
