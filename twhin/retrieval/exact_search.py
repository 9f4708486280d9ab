# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Finds the best rows by comparing with all of them, block by block."""

import numpy as np
import numpy.typing as npt

from twhin.bundle.id_hash import Int64Array
from twhin.bundle.mapped_table import MappedTable
from twhin.retrieval import comparators
from twhin.retrieval.operators import Floats
from twhin.scoring import Comparator

# Numbers of a block of rows, and of its scores: bounds the memory, fits a cache.
_BLOCK_NUMBERS = 1 << 20
_SCORE_NUMBERS = 1 << 22


def search_exact(
    table: MappedTable,
    comparator: Comparator,
    queries: Floats,
    k: int,
    excluded: Int64Array,
) -> Int64Array:
    """Returns the best loaded rows of a table for each query, in any order.

    Args:
      table: The table.
      comparator: The comparison.
      queries: float32 [n, D].
      k: The number of rows for a query, at least 1.
      excluded: int64 [e], ascending: rows that no query gets.

    Returns:
      int64 [n, k]; -1 where there are no more rows.
    """
    best = _BestRows(len(queries), k)
    block_rows = max(_BLOCK_NUMBERS // table.dim, 1)
    block_rows = max(min(block_rows, _SCORE_NUMBERS // max(len(queries), 1)), k, 1)
    for start, block in table.blocks(block_rows):
        scores = comparators.pairwise(comparator, queries, block)
        if excluded.size:
            first, last = excluded.searchsorted((start, start + len(block)))
            scores[:, excluded[first:last] - start] = -np.inf
        best.add(start, scores)
    return best.rows


class _BestRows:
    """The k best rows so far for each of n queries."""

    def __init__(self, num_queries: int, k: int) -> None:
        self.rows = np.full((num_queries, k), -1, np.int64)
        self._scores = np.full((num_queries, k), -np.inf, np.float32)

    def add(self, start: int, scores: npt.NDArray[np.float32]) -> None:
        """Takes the scores [n, m] of the m rows from `start` on."""
        worst = self._scores.min(axis=1)
        is_better = scores > worst[:, None]
        for number in np.flatnonzero(is_better.any(axis=1)).tolist():
            places = np.flatnonzero(is_better[number])
            self._merge(number, places + start, scores[number].take(places))

    def _merge(
        self, number: int, rows: Int64Array, scores: npt.NDArray[np.float32]
    ) -> None:
        k = self.rows.shape[1]
        rows = np.concatenate((self.rows[number], rows))
        scores = np.concatenate((self._scores[number], scores))
        keep = np.argpartition(scores, len(scores) - k)[len(scores) - k :]
        self.rows[number] = rows[keep]
        self._scores[number] = scores[keep]
