# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Measures what an index finds, and chooses how many lists a search visits.

An index of inverted lists looks at the lists whose centres score highest. How
many it needs depends on the trained vectors and on the queries: it is measured
with rows of the table, and with entities through the relations that lead to it.
"""

import logging
from collections.abc import Callable

import numpy as np

from twhin.bundle.bundle import Bundle
from twhin.retrieval.operators import Floats, Query
from twhin.retrieval.relation_query import known_type, make_query
from twhin.retrieval.retriever import Retriever
from twhin.scoring import has_transpose
from twhin.side import Side

_LOG = logging.getLogger(__name__)

RECALL_AT = 100
_NUM_QUERIES = 256
# Truth is found for this many queries at a time: bounds the memory of scores.
_BATCH_QUERIES = 64


class Calibration:
    """Queries for one entity type, with the scores of their true best rows."""

    def __init__(self, bundle: Bundle, entity_type: str, query: Query) -> None:
        """Finds the best rows of the queries by exact search.

        Args:
          bundle: With all shards, and an index for the entity type.
          entity_type: The type of the candidates, with at least one row.
          query: See `row_queries` and `relation_queries`.
        """
        self._entity_type = entity_type
        self._num_lists = next(
            index.num_lists
            for index in bundle.manifest.indexes
            if index.entity_type == entity_type
        )
        self._retriever = Retriever(bundle)
        self._k = min(RECALL_AT, bundle.tables[entity_type].num_rows)
        self._query = query
        self._worst_scores = self._true_scores()

    def recall(self, num_probes: int | None = None) -> float:
        """Returns the share of true best rows that the index finds, in [0, 1].

        Args:
          num_probes: Inverted lists to visit; None where there are none.
        """
        found = self._retriever.search(
            self._entity_type, self._query, self._k, num_probes=num_probes
        )
        # By scores, so that any of several equal rows will do.
        return float((found.scores >= self._worst_scores[:, None]).mean())

    def choose_num_probes(self, target: float) -> tuple[int, float]:
        """Returns the fewest lists that reach a recall, and the recall.

        Args:
          target: The recall asked for, in (0, 1]. Where no number reaches it, all
            lists are visited, with a warning.
        """
        found = _smallest(lambda n: self.recall(n) >= target, self._num_lists)
        recall = self.recall(found)
        if recall < target:
            _LOG.warning(
                "entity_type=%s: recall@%d is %.4f with all lists; asked for %.4f",
                self._entity_type,
                RECALL_AT,
                recall,
                target,
            )
        return found, recall

    def _true_scores(self) -> Floats:
        """Returns the score of the k-th best row of each query; [n] float32."""
        vectors = self._query.vectors
        worst = [
            self._retriever.search(
                self._entity_type,
                Query(vectors=vectors[start : start + _BATCH_QUERIES]),
                self._k,
                exact=True,
            ).scores[:, -1]
            for start in range(0, len(vectors), _BATCH_QUERIES)
        ]
        return np.concatenate(worst)


def row_queries(bundle: Bundle, entity_type: str, *, seed: int = 0) -> Query:
    """Returns rows of a table, drawn with a seed, as queries for others of it."""
    generator = np.random.default_rng(seed)
    return Query(vectors=_sample(bundle, entity_type, generator))


def relation_queries(
    bundle: Bundle, entity_type: str, *, seed: int = 0
) -> Query | None:
    """Returns entities through the relations that lead to a type, as queries.

    Relations and their sides are drawn evenly.

    Args:
      bundle: The bundle.
      entity_type: The type of the candidates.
      seed: The seed of the draw.

    Returns:
      The queries; None where no relation leads to the type.
    """
    relations = _relations_to(bundle, entity_type)
    if not relations:
        return None
    generator = np.random.default_rng(seed)
    drawn = generator.integers(len(relations), size=_NUM_QUERIES)
    parts = []
    for number in np.unique(drawn).tolist():
        name, side = relations[number]
        known = _sample(bundle, known_type(bundle, name, side), generator)
        known = known[: int((drawn == number).sum())]
        parts.append(make_query(bundle, name, side, known).vectors)
    # The bias is the same for all candidates, and changes no ranking.
    return Query(vectors=np.concatenate(parts), is_related=True)


def _smallest(is_enough: Callable[[int], bool], limit: int) -> int:
    """Returns the smallest number that is enough, or `limit`."""
    high = 1
    while high < limit and not is_enough(high):
        high *= 2
    low, high = high // 2, min(high, limit)
    while high - low > 1:
        middle = (low + high) // 2
        if is_enough(middle):
            high = middle
        else:
            low = middle
    return high


def _sample(bundle: Bundle, entity_type: str, generator: np.random.Generator) -> Floats:
    num_rows = bundle.tables[entity_type].num_rows
    rows = generator.integers(num_rows, size=_NUM_QUERIES)
    vectors: Floats = bundle.vectors(entity_type, rows)
    return vectors


def _relations_to(bundle: Bundle, entity_type: str) -> list[tuple[str, Side]]:
    """Returns the ways by which queries come to candidates of a type."""
    found = []
    for relation in bundle.relations.values():
        if relation.rhs == entity_type and bundle.tables[relation.lhs].num_rows:
            found.append((relation.name, Side.RHS))
        can_rank_lhs = relation.reciprocal_parameters is not None or has_transpose(
            relation.operator, bundle.comparator
        )
        is_known = relation.lhs == entity_type and bundle.tables[relation.rhs].num_rows
        if is_known and can_rank_lhs:
            found.append((relation.name, Side.LHS))
    return found
