# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Where compiled loops work on some edges.

Letters in shapes: C edges at a time, N negatives of a chunk, K scores, D embedding
dimension.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twhin.cpu.compiled import compiled
from twhin.model.compiled_factor import Factor, make_factor
from twhin.model.ranked_chunks import Objective


class Space(NamedTuple):
    """Where one side of some edges is worked on; used again for the next.

    Attributes:
      rows: [C, D], the rows of entities, gathered from a table.
      drawn: [N, D], those of negatives.
      query: [C, D], queries as they are compared.
      query_norms: [C], their norms before.
      query_flow: [C, D], the gradient of the queries.
      entities: [C, D], as they are compared; for dot products `low` alone is used.
      entity_norms: [C], as above.
      negatives: [N, D], as `entities`.
      negative_norms: [N], as above.
      negative_flow: [N, D], the gradient of negatives.
      weight: [C], the factor of each edge's loss.
      own: [C], scores of the edges' entities, then their derivatives.
      scores: [1, K], the scores of negatives, then their derivatives.
    """

    rows: NDArray[np.float32]
    drawn: NDArray[np.float32]
    query: Factor
    query_norms: NDArray[np.float32]
    query_flow: NDArray[np.float32]
    entities: Factor
    entity_norms: NDArray[np.float32]
    negatives: Factor
    negative_norms: NDArray[np.float32]
    negative_flow: NDArray[np.float32]
    weight: NDArray[np.float32]
    own: NDArray[np.float32]
    scores: Factor


@compiled
def make_space(count: int, n: int, dim: int, objective: Objective) -> Space:
    """Returns space for the edges and the negatives of any chunk."""
    width = n + count if objective.in_batch else n
    is_low = objective.is_low
    num_rows, num_drawn = (count, n) if objective.gathers else (0, 0)
    return Space(
        rows=np.empty((num_rows, dim), np.float32),
        drawn=np.empty((num_drawn, dim), np.float32),
        query=make_factor((count, dim), is_low),
        query_norms=np.empty(count, np.float32),
        query_flow=np.empty((count, dim), np.float32),
        entities=make_factor((count, dim), is_low),
        entity_norms=np.empty(count, np.float32),
        negatives=make_factor((n, dim), is_low),
        negative_norms=np.empty(n, np.float32),
        negative_flow=np.empty((n, dim), np.float32),
        weight=np.empty(count, np.float32),
        own=np.empty(count, np.float32),
        scores=make_factor((1, width * count), is_low),
    )
