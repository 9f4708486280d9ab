# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Measures what an index finds, and chooses how many lists a search visits.

An index of inverted lists looks at the lists whose centres score highest. How
many it needs depends on the trained vectors: it is measured, with rows of the
table as queries, and with entities through the relations that lead to it.
"""

import logging
from collections.abc import Callable

import numpy as np

from twhin.bundle.bundle import Bundle
from twhin.retrieval.operators import Floats, Query, has_transpose
from twhin.retrieval.relation_query import known_type, make_query
from twhin.retrieval.retriever import Retriever
from twhin.retrieval.side import Side

_LOG = logging.getLogger(__name__)

RECALL_AT = 100
_NUM_QUERIES = 256
# Truth is found for this many queries at a time: bounds the memory of scores.
_BATCH_QUERIES = 64


class Calibration:
    """Queries for one entity type, with the scores of their true best rows."""

    def __init__(self, bundle: Bundle, entity_type: str, *, seed: int = 0) -> None:
        """Draws queries and finds their best rows by exact search.

        Args:
          bundle: With all shards, and an index for the entity type.
          entity_type: The type of the candidates, with at least one row.
          seed: The seed of the draw.
        """
        self._entity_type = entity_type
        self._num_lists = next(
            index.num_lists
            for index in bundle.manifest.indexes
            if index.entity_type == entity_type
        )
        self._retriever = Retriever(bundle)
        self._k = min(RECALL_AT, bundle.tables[entity_type].num_rows)
        generator = np.random.default_rng(seed)
        self._groups = [Query(vectors=_sample(bundle, entity_type, generator))]
        if relations := _relations_to(bundle, entity_type):
            self._groups.append(_relation_queries(bundle, relations, generator))
        self._worst_scores = [self._true_scores(query) for query in self._groups]

    def recall(self, num_probes: int | None = None) -> float:
        """Returns the share of true best rows that the index finds, in [0, 1].

        That of the rows as queries or of the relations, whichever is smaller.

        Args:
          num_probes: Inverted lists to visit; None where there are none.
        """
        return min(
            self._recall(query, worst, num_probes)
            for query, worst in zip(self._groups, self._worst_scores, strict=True)
        )

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

    def _true_scores(self, query: Query) -> Floats:
        """Returns the score of the k-th best row of each query; [n] float32."""
        worst = [
            self._retriever.search(
                self._entity_type,
                Query(vectors=query.vectors[start : start + _BATCH_QUERIES]),
                self._k,
                exact=True,
            ).scores[:, -1]
            for start in range(0, len(query.vectors), _BATCH_QUERIES)
        ]
        return np.concatenate(worst)

    def _recall(self, query: Query, worst: Floats, num_probes: int | None) -> float:
        # By scores, so that any of several equal rows will do.
        found = self._retriever.search(
            self._entity_type, query, self._k, num_probes=num_probes
        )
        return float((found.scores >= worst[:, None]).mean())


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


def _relation_queries(
    bundle: Bundle,
    relations: list[tuple[str, Side]],
    generator: np.random.Generator,
) -> Query:
    """Returns queries through relations and sides drawn evenly."""
    drawn = generator.integers(len(relations), size=_NUM_QUERIES)
    parts = []
    for number in np.unique(drawn).tolist():
        name, side = relations[number]
        known = _sample(bundle, known_type(bundle, name, side), generator)
        known = known[: int((drawn == number).sum())]
        parts.append(make_query(bundle, name, side, known).vectors)
    # The bias is the same for all candidates, and changes no ranking.
    return Query(vectors=np.concatenate(parts))
