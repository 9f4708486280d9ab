# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Which candidates of an edge are not negatives but known to be right."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twhin.side import Side
from twhin.training import row_join
from twhin.training.known_edges import KnownEdges

_Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEdges:
    """The edges of a group as one side sees them.

    Attributes:
      side: The side whose entity is replaced.
      chunk: [B] int64, the chunk of each edge.
      rel: [B] int64.
      known: [B] int64, the entity on the other side.
      sought: [B] int64, the entity on this side.
      num_known: The number of entities of the other side's type.
      num_sought: The number of entities of this side's type.
      num_relations: The number of relations.
    """

    side: Side
    chunk: NDArray[np.int64]
    rel: NDArray[np.int64]
    known: NDArray[np.int64]
    sought: NDArray[np.int64]
    num_known: int
    num_sought: int
    num_relations: int

    def queries(self) -> NDArray[np.int64]:
        """Returns [B] int64, equal for edges of a chunk with equal rel and known."""
        chunk_rel = self.chunk * self.num_relations + self.rel
        return chunk_rel * self.num_known + self.known


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Candidates of the chunks of a group.

    Attributes:
      chunk: [K] int64, the chunk that each candidate belongs to.
      row: [K] int64, the entity.
      column: [K] int64, its position among the chunk's candidates.
    """

    chunk: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]


def concatenate(parts: Sequence[SideEdges]) -> SideEdges:
    """Returns the edges of several ranks, whose chunks have the same numbers."""
    return replace(
        parts[0],
        chunk=np.concatenate([part.chunk for part in parts]),
        rel=np.concatenate([part.rel for part in parts]),
        known=np.concatenate([part.known for part in parts]),
        sought=np.concatenate([part.sought for part in parts]),
    )


def find_self(edges: SideEdges, candidates: Candidates) -> _Pairs:
    """Returns pairs (edge, column): the candidate is the edge's own entity."""
    edge, candidate = row_join.join(
        edges.chunk * edges.num_sought + edges.sought, _keys(edges, candidates)
    )
    return edge, candidates.column[candidate]


def find_in_batch(
    edges: SideEdges, candidates: Candidates, makers: SideEdges
) -> _Pairs:
    """Returns pairs (edge, column): the candidate makes an edge of the same chunk.

    Args:
      edges: The edges that are asked for.
      candidates: What they are compared with.
      makers: All edges of the chunks: `edges`, and perhaps those of other ranks.
    """
    # First whose own entity is a candidate: few. Then who shares their query.
    maker, column = find_self(makers, candidates)
    if not len(maker):
        return maker, column
    pair, edge = row_join.join(makers.queries()[maker], edges.queries())
    return _distinct(edge, column[pair])


def find_in_train(
    edges: SideEdges, candidates: Candidates, known_edges: KnownEdges
) -> _Pairs:
    """Returns pairs (edge, column): the candidate makes a training edge."""
    _, first, query = np.unique(edges.queries(), return_index=True, return_inverse=True)
    owner, row = known_edges.find(edges.side, edges.rel[first], edges.known[first])
    keys = edges.chunk[first][owner] * edges.num_sought + row
    found, candidate = row_join.join(keys, _keys(edges, candidates))
    pair, edge = row_join.join(owner[found], query)
    return edge, candidates.column[candidate[pair]]


def find_all_self(edges: SideEdges) -> _Pairs:
    """Does what `find_self` says where every row of the table is a candidate."""
    return np.arange(len(edges.sought)), edges.sought


def find_all_in_batch(edges: SideEdges) -> _Pairs:
    """Does what `find_in_batch` says where every row of the table is a candidate."""
    queries = edges.queries()
    edge, maker = row_join.join(queries, queries)
    return _distinct(edge, edges.sought[maker])


def find_all_in_train(edges: SideEdges, known_edges: KnownEdges) -> _Pairs:
    """Does what `find_in_train` says where every row of the table is a candidate."""
    return known_edges.find(edges.side, edges.rel, edges.known)


def _keys(edges: SideEdges, candidates: Candidates) -> NDArray[np.int64]:
    return candidates.chunk * edges.num_sought + candidates.row


def _distinct(edge: NDArray[np.int64], column: NDArray[np.int64]) -> _Pairs:
    """Drops repeated pairs."""
    if not len(edge):
        return edge, column
    width = int(column.max()) + 1
    return np.divmod(np.unique(edge * width + column), width)
