# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Some chunks of a step and what is ranked in them, as compiled loops take it.

Letters in shapes: B edges, P chunks of any sizes and entity types, C edges of a
chunk, N negatives of a chunk, R relations, D embedding dimension.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Where one side of a chunk is. Tables are positions in tuples of tables; of rows the
# first is given, the others follow it.
#   table          the table of entities and negatives
#   entities       the row of the first edge's entity
#   negatives      the row of the first drawn negative
#   num_negatives  N
#   log_q          the position of the first drawn negative's log q
#   known_table    the table of the known vectors
#   known          the row of the first edge's known vector
PLACE = np.dtype(
    [
        (name, np.int64)
        for name in (
            "table",
            "entities",
            "negatives",
            "num_negatives",
            "log_q",
            "known_table",
            "known",
        )
    ]
)


class Source(NamedTuple):
    """Vectors of one entity type.

    Attributes:
      table: [n, D] float32.
      chosen: [k] int64, the rows of the table that rows in `PLACE` stand for; [0]
        where they stand for themselves.
    """

    table: NDArray[np.float32]
    chosen: NDArray[np.int64]


class ChunkedEdges(NamedTuple):
    """The edges.

    Attributes:
      bounds: [P + 1] int64: the first edge of each chunk, and behind the last.
      rel: [B] int64, the row of each edge's relation in `RankedSide.shift`.
      weight: [B] float32, the factor of each edge's loss.
    """

    bounds: NDArray[np.int64]
    rel: NDArray[np.int64]
    weight: NDArray[np.float32]


class Corrections(NamedTuple):
    """What changes scores of one side.

    Attributes:
      masked: [2, M] int64, pairs of an edge and a negative that do not count, in
        order of the edges: a drawn negative of the edge's chunk, or N + c for the
        entity of the chunk's edge c.
      log_q: [B] float32, subtracted from the scores of the edges' entities; [0] for 0.
      negative_log_q: [K] float32, the same of the drawn negatives of all chunks.
    """

    masked: NDArray[np.int64]
    log_q: NDArray[np.float32]
    negative_log_q: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepChunks:
    """All chunks of a step, before anything is looked up.

    Attributes:
      tables: The entity types, in the order of positions in `PLACE`.
      edges: The edges.
      places: Where the vectors of the lhs and of the rhs are, [P] `PLACE` each.
      corrections: What changes the scores of the lhs, and of the rhs.
    """

    tables: tuple[str, ...]
    edges: ChunkedEdges
    places: tuple[NDArray[np.void], NDArray[np.void]]
    corrections: tuple[Corrections, Corrections]


class RankedSide(NamedTuple):
    """One side of the edges.

    The query of an edge is its known vector plus the shift of its relation.

    Attributes:
      weight: The factor of this side's losses; 0 for a side that is not ranked.
      places: [P] `PLACE`, where its vectors are.
      corrections: What changes its scores.
      shift: [R, D] float32; [0, D] for no shift.
      shift_gradient: [K, R, D], of each piece of the chunks; added to.
    """

    weight: np.float32
    places: NDArray[np.void]
    corrections: Corrections
    shift: NDArray[np.float32]
    shift_gradient: NDArray[np.float32]


class Objective(NamedTuple):
    """What is computed.

    Attributes:
      factor: Multiplies all scores: 1 / temperature.
      is_cosine: Whether vectors are compared by cosine instead of by dot product.
      in_batch: Whether the entities of a chunk are negatives too.
      adds: Whether gradients of drawn negatives are added to what is there.
      gathers: Whether all vectors, known ones included, are chosen rows of tables.
      is_low: Whether matrix products take bfloat16.
    """

    factor: np.float32
    is_cosine: bool
    in_batch: bool
    adds: bool
    gathers: bool
    is_low: bool
