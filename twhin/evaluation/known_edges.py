# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The known answers to queries: candidates that are not counted as mistakes.

An index holds one sorted array of int64, with

    number of the query * number of candidates + number of the candidate

for each pair of a query and a candidate that is a known edge: 8 bytes a pair.
The candidates of one query in a range of numbers are consecutive in it, and two
binary searches find them. While it is built, a known edge of a query takes 8
bytes more for each time that it occurs in the files.
"""

import numpy as np
import torch
from torch import Tensor

from twhin.evaluation.candidates import Candidates
from twhin.evaluation.edges import Integers


class KnownEdges:
    """The index."""

    def __init__(self, pairs: Tensor, num_candidates: int) -> None:
        """Wraps a sorted array; see the module.

        Args:
          pairs: [M] int64, ascending, without duplicates.
          num_candidates: The number of candidates of a query.
        """
        self._pairs = pairs
        self._num_candidates = num_candidates

    def __len__(self) -> int:
        """Returns M."""
        return len(self._pairs)

    def find(self, queries: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Returns the known candidates of queries in a range of numbers.

        Args:
          queries: [Q] int64, numbers of queries, in any order.
          start: The first candidate of the range.
          stop: The end of the range, where there are so many.

        Returns:
          Two tensors [m] int64: positions in `queries`, ascending, and candidates
          counted from `start`.
        """
        pairs = self._pairs.to(queries.device)
        stop = min(stop, self._num_candidates)
        offsets = queries * self._num_candidates
        first = torch.searchsorted(pairs, offsets + start)
        counts = torch.searchsorted(pairs, offsets + stop) - first
        positions = torch.repeat_interleave(counts)
        places = torch.arange(len(positions), device=queries.device)
        places += (first - counts.cumsum(0) + counts)[positions]
        return positions, pairs[places] - (offsets + start)[positions]

    def contains(self, queries: Tensor, numbers: Tensor) -> Tensor:
        """Returns whether candidates are known answers.

        Args:
          queries: [n] int64, numbers of queries.
          numbers: [n] int64, numbers of candidates.

        Returns:
          [n] bool.
        """
        pairs = self._pairs.to(queries.device)
        wanted = queries * self._num_candidates + numbers
        after = torch.searchsorted(pairs, wanted, right=True)
        return after > torch.searchsorted(pairs, wanted)


class KnownEdgesBuilder:
    """Collects the known edges of given queries from all edges of a graph."""

    def __init__(
        self,
        *,
        query_rel: Integers,
        query_known: Integers,
        num_known: int,
        candidates: Candidates,
    ) -> None:
        """Starts with no known edge.

        Args:
          query_rel: [Q] int64, the relation of each query.
          query_known: [Q] int64, the row of its known entity. The pairs of
            relation and known entity ascend, without duplicates.
          num_known: The number of rows of the known entity's table.
          candidates: What the queries are compared with.
        """
        self._keys = query_rel * num_known + query_known
        self._num_known = num_known
        self._candidates = candidates
        self._parts: list[Integers] = []

    def add(self, *, rel: Integers, known: Integers, answer: Integers) -> None:
        """Adds edges of relations that join the entity types of the queries.

        Args:
          rel: [n] int64, relations.
          known: [n] int64, rows of the known side.
          answer: [n] int64, rows of the other side.
        """
        if len(self._keys) == 0:
            return
        keys = rel * self._num_known + known
        queries = np.searchsorted(self._keys, keys)
        np.minimum(queries, len(self._keys) - 1, out=queries)
        (asked,) = np.nonzero(self._keys[queries] == keys)
        numbers, is_candidate = self._candidates.numbers(answer[asked])
        pairs = queries[asked] * len(self._candidates) + numbers
        self._parts.append(pairs[is_candidate])

    def build(self) -> KnownEdges:
        """Returns the index of all edges that were added."""
        none = np.empty(0, dtype=np.int64)
        pairs = np.unique(np.concatenate([none, *self._parts]))
        return KnownEdges(torch.from_numpy(pairs), len(self._candidates))
