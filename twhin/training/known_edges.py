# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""All training edges in memory: what each (relation, entity) is known to join."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twhin.graph.edge_columns import EdgeColumns
from twhin.side import Side
from twhin.training import row_join


class KnownEdges:
    """For each side of edges, the known entities on it. About 32 bytes an edge."""

    def __init__(self, edges: EdgeColumns) -> None:
        """Sorts the edges by what `find` looks up.

        Args:
          edges: All training edges.
        """
        self._sides = {
            Side.LHS: _sort(rel=edges.rel, known=edges.rhs, sought=edges.lhs),
            Side.RHS: _sort(rel=edges.rel, known=edges.lhs, sought=edges.rhs),
        }

    def find(
        self, side: Side, rel: NDArray[np.int64], known: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Finds the entities on one side of edges, given the other side.

        Args:
          side: The side that is sought.
          rel: [Q] int64, relations.
          known: [Q] int64, entities on the other side.

        Returns:
          queries [K] int64, ascending, and sought [K] int64: sought[i] is on `side`
          of a known edge of query queries[i]. Pairs are distinct.
        """
        return self._sides[side].find(rel, known)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SortedEdges:
    """Edges in the order of (relation, known entity, sought entity).

    Attributes:
      stride: More than the largest known entity.
      keys: [U] int64, rel * stride + known, ascending and distinct.
      starts: [U + 1] int64, where the edges of each key start.
      sought: [E] int64.
    """

    stride: int
    keys: NDArray[np.int64]
    starts: NDArray[np.int64]
    sought: NDArray[np.int64]

    def find(
        self, rel: NDArray[np.int64], known: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Does what `KnownEdges.find` says."""
        keys = rel * self.stride + known
        index = np.searchsorted(self.keys, keys)
        index[index == len(self.keys)] = 0
        is_found = (self.keys[index] == keys) & (known < self.stride)
        counts = np.where(is_found, self.starts[index + 1] - self.starts[index], 0)
        queries, positions = row_join.expand(self.starts[index], counts)
        return queries, self.sought[positions]


def _sort(
    *, rel: NDArray[np.int64], known: NDArray[np.int64], sought: NDArray[np.int64]
) -> _SortedEdges:
    """Sorts edges, of which there is at least one, and drops repeated ones."""
    stride = int(known.max()) + 1
    keys = rel * stride + known
    order = np.lexsort((sought, keys))
    keys, sought = keys[order], sought[order]
    is_new = np.ones(len(keys), dtype=np.bool_)
    is_new[1:] = (keys[1:] != keys[:-1]) | (sought[1:] != sought[:-1])
    keys, sought = keys[is_new], sought[is_new]
    unique, starts = np.unique(keys, return_index=True)
    return _SortedEdges(
        stride=stride,
        keys=unique,
        starts=np.append(starts, len(keys)),
        sought=sought,
    )
