# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A ranking with all that does not depend on the model: made once, used often."""

from dataclasses import dataclass

import numpy as np

from twhin.evaluation.edges import take
from twhin.evaluation.known_edges import KnownEdges, KnownEdgesBuilder
from twhin.evaluation.popularity import Popularity
from twhin.evaluation.ranking import Ranking, Ranks, known_and_answer
from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.schema import GraphSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRanking:
    """A ranking, its known edges, and the baseline's ranks.

    Attributes:
      ranking: What is ranked.
      known: What filtered ranks leave out.
      popularity: The ranks by popularity.
    """

    ranking: Ranking
    known: KnownEdges
    popularity: Ranks


class PreparedRankingBuilder:
    """Collects what a ranking needs of all edges of the graph."""

    def __init__(self, ranking: Ranking, schema: GraphSchema) -> None:
        """Starts without edges."""
        self._ranking = ranking
        types = schema.relations[int(ranking.query_rel[0])]
        self._has_types = np.array(
            [
                (relation.lhs, relation.rhs) == (types.lhs, types.rhs)
                for relation in schema.relations
            ]
        )
        self._popularity = Popularity(ranking)
        self._known = KnownEdgesBuilder(
            query_rel=ranking.query_rel,
            query_known=ranking.query_known,
            num_known=ranking.num_known,
            candidates=ranking.candidates,
        )

    def add(self, edges: EdgeColumns, *, train: bool, known: bool) -> None:
        """Adds edges of any relations.

        Args:
          edges: The edges.
          train: Whether they count for the baseline.
          known: Whether filtered ranks leave them out.
        """
        if not (train or known):
            return
        ours = take(edges, self._has_types[edges.rel])
        rows, answer = known_and_answer(ours, self._ranking.side)
        if train:
            self._popularity.add(rel=ours.rel, answer=answer)
        if known:
            self._known.add(rel=ours.rel, known=rows, answer=answer)

    def build(self) -> PreparedRanking:
        """Returns the ranking with all edges that were added."""
        known = self._known.build()
        return PreparedRanking(
            ranking=self._ranking, known=known, popularity=self._popularity.rank(known)
        )
