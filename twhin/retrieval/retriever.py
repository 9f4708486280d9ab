# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The entities with the highest scores, through an index or by comparing with all."""

from dataclasses import dataclass

import numpy as np

from twhin.bundle.bundle import Bundle
from twhin.bundle.id_hash import Int64Array
from twhin.bundle.mapped_table import MappedTable
from twhin.retrieval import comparators
from twhin.retrieval.exact_search import search_exact
from twhin.retrieval.operators import Floats, Query
from twhin.retrieval.table_index import TableIndex

_NONE = np.empty(0, np.int64)
# Rows that are rescored beyond those asked for: rounding may swap neighbours at
# the end, and differs with the number of rows that are compared at a time.
_MIN_SPARE_ROWS = 8
# Numbers of the rows that are rescored at a time.
_RESCORE_NUMBERS = 1 << 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbors:
    """The best candidates of n queries.

    Attributes:
      rows: int64 [n, k], best first; -1 behind the last one.
      scores: float32 [n, k], falling; -inf behind the last one.
      counts: int64 [n], the number of candidates of each query.
    """

    rows: Int64Array
    scores: Floats
    counts: Int64Array


class Retriever:
    """Searches the loaded shards of a bundle. Thread-safe.

    Whatever finds the candidates, their scores are those of the stored rows, and
    the same however these are divided into shards.
    """

    def __init__(self, bundle: Bundle) -> None:
        """Maps the indexes of the loaded shards.

        Raises:
          BundleError: An index is missing, damaged, or another table's.
        """
        self._bundle = bundle
        self._indexes = {
            index.entity_type: TableIndex(
                bundle.folder,
                index,
                bundle.tables[index.entity_type],
                comparator=bundle.comparator,
                shards=bundle.shards,
            )
            for index in bundle.manifest.indexes
        }

    def is_indexed(self, entity_type: str) -> bool:
        """Returns whether an index exists; otherwise every search is exact."""
        return entity_type in self._indexes

    def search(
        self,
        entity_type: str,
        query: Query,
        k: int,
        *,
        exclude: Int64Array | None = None,
        min_score: float | None = None,
        exact: bool = False,
        num_probes: int | None = None,
    ) -> Neighbors:
        """Returns the best rows for each query.

        Args:
          entity_type: The type of the candidates.
          query: Of n vectors; see `make_query`.
          k: The number of candidates for each query, at least 1.
          exclude: int64 rows that no query gets; -1 is ignored.
          min_score: Candidates with a lower score are left out; None for no bound.
          exact: Compares with every row instead of using an index.
          num_probes: Inverted lists to visit; None for those of the manifest.

        Raises:
          KeyError: The bundle has no such entity type.
        """
        table = self._bundle.tables[entity_type]
        excluded = _NONE
        if exclude is not None and len(exclude):
            excluded = np.unique(np.asarray(exclude, np.int64))
        vectors = np.ascontiguousarray(query.vectors, np.float32)
        index = None if exact else self._indexes.get(entity_type)
        num_wanted = k + max(k // 16, _MIN_SPARE_ROWS)
        if index is None:
            rows = search_exact(
                table, self._bundle.comparator, vectors, num_wanted, excluded
            )
        else:
            num_probes = num_probes or index.num_probes_for(query)
            rows = index.search(vectors, num_wanted, excluded, num_probes=num_probes)
        scores = self._score(table, vectors, rows)
        if query.bias is not None:
            scores += query.bias[:, None]
        return _best(rows, scores, k, min_score)

    def warm(self, *, lock: bool) -> None:
        """Brings the indexes into memory; see `MappedFile.warm`."""
        for index in self._indexes.values():
            index.warm(lock=lock)

    @property
    def size_bytes(self) -> int:
        """The bytes that the indexes map."""
        return sum(index.size_bytes for index in self._indexes.values())

    def _score(self, table: MappedTable, queries: Floats, rows: Int64Array) -> Floats:
        """Returns the score of each row for its query; -inf for row -1."""
        scores = np.empty(rows.shape, np.float32)
        step = max(_RESCORE_NUMBERS // (rows.shape[1] * table.dim), 1)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            candidates = table.vectors(part.reshape(-1)).reshape(*part.shape, table.dim)
            scores[start : start + step] = comparators.elementwise(
                self._bundle.comparator, queries[start : start + step], candidates
            )
        scores[(rows < 0) | np.isnan(scores)] = -np.inf
        return scores


def _best(
    rows: Int64Array, scores: Floats, k: int, min_score: float | None
) -> Neighbors:
    """Returns the k best of [n, m] candidates; equal scores by the row."""
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    shape = (len(rows), k)
    best = Neighbors(
        rows=np.full(shape, -1, np.int64),
        scores=np.full(shape, -np.inf, np.float32),
        counts=np.zeros(len(rows), np.int64),
    )
    best.rows[:, : order.shape[1]] = np.take_along_axis(rows, order, axis=1)
    best.scores[:, : order.shape[1]] = np.take_along_axis(scores, order, axis=1)
    is_wanted = best.scores > -np.inf
    if min_score is not None:
        is_wanted &= best.scores >= min_score
    best.rows[~is_wanted] = -1
    best.scores[~is_wanted] = -np.inf
    best.counts[:] = is_wanted.sum(axis=1)
    return best
