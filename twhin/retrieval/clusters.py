# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""k-means clusters of a bundle's table, in numpy.

Letters in shapes: V rows of the table, C clusters, D embedding dimension.
"""

from dataclasses import dataclass

import numpy as np

from twhin.bundle.id_hash import Int64Array
from twhin.bundle.mapped_table import MappedTable
from twhin.retrieval.operators import Floats

_ROWS_PER_CLUSTER = 256
_NUM_ITERATIONS = 15
_BLOCK_ROWS = 1 << 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """The clusters of all rows.

    Attributes:
      centroids: float32 [C, D].
      of_row: int64 [V], the nearest centroid of each row; -1 for rows that no
        loaded shard holds.
    """

    centroids: Floats
    of_row: Int64Array


def make_clusters(table: MappedTable, num_clusters: int, *, seed: int = 0) -> Clusters:
    """Clusters the loaded rows of a table by Lloyd's iterations over a sample.

    Args:
      table: The table.
      num_clusters: C; at most as many as there are loaded rows are made.
      seed: Equal seeds draw equal samples and starts.
    """
    rows = np.flatnonzero(table.holds(np.arange(table.num_rows)))
    num_clusters = min(num_clusters, len(rows))
    drawn = np.random.default_rng(seed).permutation(rows)
    sample = table.vectors(drawn[: _ROWS_PER_CLUSTER * num_clusters])
    centroids = sample[:num_clusters].copy()
    for _ in range(_NUM_ITERATIONS):
        cluster = nearest(sample, centroids)
        sizes = np.bincount(cluster, minlength=num_clusters)
        sums = np.zeros(centroids.shape, np.float64)
        np.add.at(sums, cluster, sample)
        is_used = sizes > 0
        centroids[is_used] = sums[is_used] / sizes[is_used, None]
    of_row = np.full(table.num_rows, -1, np.int64)
    for start, block in table.blocks(_BLOCK_ROWS):
        of_row[start : start + len(block)] = nearest(block, centroids)
    return Clusters(centroids=centroids, of_row=of_row)


def nearest(rows: Floats, centroids: Floats) -> Int64Array:
    """Returns int64 [n], the centroid of the smallest distance to each row."""
    halves = np.square(centroids).sum(1) / 2
    found = [
        np.argmax(rows[start : start + _BLOCK_ROWS] @ centroids.T - halves, axis=1)
        for start in range(0, len(rows), _BLOCK_ROWS)
    ]
    return np.concatenate(found) if found else np.empty(0, np.int64)
