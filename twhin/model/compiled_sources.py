# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The vectors that some edges are ranked with, side by side, for compiled loops.

Letters in shapes: C edges at a time, D embedding dimension.
"""

import numpy as np
from numpy.typing import NDArray

from twhin.cpu.compiled import compiled
from twhin.model.compiled_rows import gather_rows
from twhin.model.ranked_chunks import Objective, RankedSide, Source


@compiled
def entity_rows(
    some: tuple[int, int, int],
    side: RankedSide,
    sources: tuple[Source, ...],
    space: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Returns the rows of the entities of the edges [start, stop) of a chunk."""
    p, start, stop = some
    place = side.places[p]
    source: Source = sources[place["table"]]
    return chosen(source, place["entities"] + start, stop - start, space)


@compiled
def known_vectors(
    some: tuple[int, int, int],
    side: RankedSide,
    sources: tuple[Source, ...],
    objective: Objective,
    others: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Returns the known vectors of the edges [start, stop) of a chunk.

    Args:
      some: The chunk, start and stop.
      side: The side that is ranked.
      sources: The vectors of each table.
      objective: What is computed.
      others: The rows of the other side's entities.
    """
    if objective.gathers:
        return others
    p, start, stop = some
    place = side.places[p]
    source: Source = sources[place["known_table"]]
    return source.table[place["known"] + start : place["known"] + stop]


@compiled
def chosen(
    source: Source, first: int, count: int, space: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns vectors side by side; written to `space` where they are not."""
    if not len(source.chosen):
        return source.table[first : first + count]
    out = space[:count]
    gather_rows(source.table, source.chosen[first : first + count], out)
    return out
