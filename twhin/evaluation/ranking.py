# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What is ranked: held-out edges of one pair of entity types, on one side.

Letters in shapes: E held-out edges, Q distinct queries.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twhin.evaluation.candidates import Candidates
from twhin.evaluation.edges import Integers, take
from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.schema import GraphSchema
from twhin.side import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """Ranks of E positives, 1 is the best; float64, as ties count half.

    Attributes:
      raw: [E], among all candidates.
      filtered: [E], known edges left out.
    """

    raw: npt.NDArray[np.float64]
    filtered: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Queries (relation, known entity), and a positive for each held-out edge.

    EdgeColumns are in the order of their queries.

    Attributes:
      side: The side that is ranked.
      known_type: The entity type of the other side.
      num_known: The number of rows of its table.
      candidates: The entities of the ranked side.
      query_rel: [Q] int64, relations, ascending.
      query_known: [Q] int64, rows of the known side, ascending in a relation.
      query: [E] int64, the number of each edge's query, ascending.
      positive: [E] int64, the row of each edge's entity on the ranked side.
    """

    side: Side
    known_type: str
    num_known: int
    candidates: Candidates
    query_rel: Integers
    query_known: Integers
    query: Integers
    positive: Integers

    @property
    def rel(self) -> Integers:
        """[E] int64, the relation of each edge."""
        return self.query_rel[self.query]

    def __len__(self) -> int:
        """Returns E."""
        return len(self.query)


def make_ranking(
    *, side: Side, edges: EdgeColumns, schema: GraphSchema, candidates: Candidates
) -> Ranking:
    """Groups held-out edges by their queries.

    Args:
      side: The side that is ranked.
      edges: At least one; all of relations that join the same entity types.
      schema: The relations.
      candidates: Entities of the ranked side's type.
    """
    relation = schema.relations[int(edges.rel[0])]
    known_type = relation.rhs if side is Side.LHS else relation.lhs
    known, positive = known_and_answer(edges, side)
    num_known = schema.num_entities(known_type)
    keys, query = np.unique(edges.rel * num_known + known, return_inverse=True)
    order = np.argsort(query, kind="stable")
    return Ranking(
        side=side,
        known_type=known_type,
        num_known=num_known,
        candidates=candidates,
        query_rel=keys // num_known,
        query_known=keys % num_known,
        query=query[order],
        positive=positive[order],
    )


def known_and_answer(edges: EdgeColumns, side: Side) -> tuple[Integers, Integers]:
    """Returns the rows of the known side and of the ranked side, each [E]."""
    if side is Side.LHS:
        return edges.rhs, edges.lhs
    return edges.lhs, edges.rhs


def split_by_types(edges: EdgeColumns, schema: GraphSchema) -> list[EdgeColumns]:
    """Returns the edges of each pair of entity types that has any."""
    pairs = [(relation.lhs, relation.rhs) for relation in schema.relations]
    distinct = list(dict.fromkeys(pairs))
    group = np.array([distinct.index(pair) for pair in pairs], np.int64)[edges.rel]
    return [take(edges, group == number) for number in np.unique(group)]
