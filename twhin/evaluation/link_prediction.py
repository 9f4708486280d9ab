# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Link prediction: both entities of held-out edges ranked among candidates."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from twhin.evaluation import metrics
from twhin.evaluation.candidates import Candidates
from twhin.evaluation.edges import Integers
from twhin.evaluation.prepared_ranking import PreparedRanking, PreparedRankingBuilder
from twhin.evaluation.ranker import Ranker
from twhin.evaluation.ranking import Ranks, make_ranking, split_by_types
from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.schema import GraphSchema
from twhin.side import Side


class LinkPrediction:
    """MRR, MR and Hits@K of given held-out edges, with the baseline's."""

    def __init__(
        self,
        *,
        edges: EdgeColumns,
        schema: GraphSchema,
        num_candidates: int,
        seed: int,
        hits_at: Sequence[int],
    ) -> None:
        """Groups the edges and draws the candidates.

        Args:
          edges: The held-out edges, at least one.
          schema: Entity types and relations.
          num_candidates: The size of the sample of candidates of each entity
            type; 0 for all entities.
          seed: The seed of that sample.
          hits_at: The K of Hits@K.
        """
        self._schema = schema
        self._num_candidates = num_candidates
        self._hits_at = hits_at
        candidates = {
            each.name: Candidates(
                entity_type=each.name,
                num_rows=each.num_entities,
                num_candidates=num_candidates,
                seed=seed,
            )
            for each in schema.entity_types
        }
        self._builders: list[PreparedRankingBuilder] = []
        for part in split_by_types(edges, schema):
            relation = schema.relations[int(part.rel[0])]
            for side, name in (Side.LHS, relation.lhs), (Side.RHS, relation.rhs):
                ranking = make_ranking(
                    side=side, edges=part, schema=schema, candidates=candidates[name]
                )
                self._builders.append(PreparedRankingBuilder(ranking, schema))
        self._prepared: list[PreparedRanking] = []

    def add(self, split: str, edges: EdgeColumns) -> None:
        """Adds edges of the graph; all splits are known edges."""
        for builder in self._builders:
            builder.add(edges, train=split == "train", known=True)

    def finish(self) -> None:
        """Says that all edges of the graph have been added."""
        self._prepared = [builder.build() for builder in self._builders]
        self._builders = []

    def evaluate(self, ranker: Ranker) -> dict[str, float]:
        """Returns the metrics by name, "link_prediction/..."; a collective."""
        prepared = self._prepared
        side = np.concatenate(
            [np.full(len(each.ranking), each.ranking.side) for each in prepared]
        )
        rel = np.concatenate([each.ranking.rel for each in prepared])
        model = [ranker.rank(each.ranking, each.known) for each in prepared]
        popularity = [each.popularity for each in prepared]
        found = dict(self._counts(rel))
        for prefix, ranks in ("", model), ("popularity/", popularity):
            for setting, values in _by_setting(ranks).items():
                name = f"link_prediction/{prefix}{setting}"
                found.update(self._breakdown(name, values, side, rel))
        return found

    def _counts(self, rel: Integers) -> Iterator[tuple[str, float]]:
        """Yields how many edges were ranked, among how many."""
        sampled = any(
            each.ranking.candidates.sample is not None for each in self._prepared
        )
        yield (
            "link_prediction/num_candidates",
            float(self._num_candidates if sampled else 0),
        )
        yield "link_prediction/num_edges", len(rel) / 2
        for number, count in zip(*np.unique(rel, return_counts=True), strict=True):
            relation = self._schema.relations[number].name
            yield f"link_prediction/num_edges/relation={relation}", int(count) / 2

    def _breakdown(
        self,
        name: str,
        ranks: metrics.Numbers,
        side: npt.NDArray[np.str_],
        rel: Integers,
    ) -> Iterator[tuple[str, float]]:
        """Yields the metrics over all ranks, by side and by relation."""
        yield from self._named(name, "", ranks)
        for each in Side:
            yield from self._named(name, f"/side={each}", ranks[side == each])
        for number in np.unique(rel):
            relation = self._schema.relations[number].name
            yield from self._named(name, f"/relation={relation}", ranks[rel == number])

    def _named(
        self, name: str, suffix: str, ranks: metrics.Numbers
    ) -> Iterator[tuple[str, float]]:
        found = metrics.link_prediction_metrics(ranks, self._hits_at)
        for metric, value in found.items():
            yield f"{name}/{metric}{suffix}", value


def _by_setting(ranks: Sequence[Ranks]) -> Mapping[str, metrics.Numbers]:
    return {
        "raw": np.concatenate([each.raw for each in ranks]),
        "filtered": np.concatenate([each.filtered for each in ranks]),
    }
