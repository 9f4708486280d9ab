# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Some chunks of a group, all of one size."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from twhin.model.edge_group import EdgeGroup, GroupSide, Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPart:
    """The edges [start, stop) of a group.

    Attributes:
      group: The group.
      start: The first edge.
      stop: Behind the last edge.
      chunks: The numbers of their chunks in the group.
    """

    group: EdgeGroup
    start: int
    stop: int
    chunks: range

    def __len__(self) -> int:
        """Returns the number of edges."""
        return self.stop - self.start

    def of(self, edges: Tensor) -> Tensor:
        """Returns the part's of the group's edges, as a view."""
        return edges[self.start : self.stop]

    def pairs_of(self, masked: Tensor) -> Tensor:
        """Returns the pairs [2, m] of a group's [2, M] whose edges are the part's.

        Edges are counted from the first of the part.
        """
        if not masked.shape[1]:
            return masked
        edges = masked[0]
        pairs = masked[:, (edges >= self.start) & (edges < self.stop)]
        pairs[0] -= self.start
        return pairs

    def entities_of(self, side: GroupSide) -> Segment:
        """Returns where the entities of a side are."""
        first = side.segment.start
        return Segment(start=first + self.start, stop=first + self.stop)

    def negatives_of(self, side: GroupSide) -> Segment:
        """Returns where the drawn negatives of a side are."""
        if side.shared_negatives:
            return side.negatives
        first, count = side.negatives.start, side.num_negatives
        return Segment(
            start=first + self.chunks.start * count,
            stop=first + self.chunks.stop * count,
        )


def divide(group: EdgeGroup, num_chunks: int) -> Iterator[GroupPart]:
    """Yields the parts of a group, each of at most so many chunks."""
    size = group.chunk_size
    num_full = len(group) // size
    for first in range(0, num_full, num_chunks):
        last = min(first + num_chunks, num_full)
        yield GroupPart(
            group=group,
            start=first * size,
            stop=last * size,
            chunks=range(first, last),
        )
    if num_full < group.num_chunks:
        yield GroupPart(
            group=group,
            start=num_full * size,
            stop=len(group),
            chunks=range(num_full, group.num_chunks),
        )


def join(parts: Sequence[GroupPart]) -> Iterator[GroupPart]:
    """Yields parts that follow each other in a group as one, in order."""
    for _, same in itertools.groupby(parts, key=lambda part: id(part.group)):
        members = list(same)
        first, last = members[0], members[-1]
        yield GroupPart(
            group=first.group,
            start=first.start,
            stop=last.stop,
            chunks=range(first.chunks.start, last.chunks.stop),
        )
