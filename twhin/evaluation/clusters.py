# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""k-means clusters of an entity type.

Letters in shapes: V rows of its table, n rows of a sample, C clusters, D
embedding dimension.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from twhin.evaluation.candidates import Candidates
from twhin.evaluation.sharded_rows import ShardedRows

# FAISS's habit as well: more rows of a cluster do not move its centroid.
_ROWS_PER_CLUSTER = 256
_NUM_ITERATIONS = 15
_BLOCK_ROWS = 1 << 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """The clusters of all rows.

    Attributes:
      centroids: [C, D] float32.
      of_row: [V] int64, the nearest centroid of each row.
    """

    centroids: Tensor
    of_row: Tensor


@torch.no_grad()
def make_clusters(
    rows: ShardedRows, entity_type: str, num_rows: int, num_clusters: int, seed: int
) -> Clusters:
    """Clusters the rows of a table; a collective.

    Args:
      rows: The embeddings.
      entity_type: The table.
      num_rows: V.
      num_clusters: C, at most V of which are made.
      seed: Equal seeds draw equal samples and starts.
    """
    num_clusters = min(num_clusters, num_rows)
    generator = np.random.default_rng(seed)
    num_drawn = min(num_rows, _ROWS_PER_CLUSTER * num_clusters)
    drawn = torch.from_numpy(generator.permutation(num_rows)[:num_drawn])
    centroids = find_centroids(rows.lookup(entity_type, drawn), num_clusters)
    of_row = torch.zeros(num_rows, dtype=torch.int64, device=rows.device)
    table = Candidates(entity_type=entity_type, num_rows=num_rows)
    for block in rows.blocks(table, _BLOCK_ROWS):
        stop = block.start + len(block.rows)
        of_row[block.start : stop] = nearest(block.rows.float(), centroids)
    return Clusters(centroids=centroids.cpu(), of_row=rows.all_reduce_sum(of_row).cpu())


def find_centroids(sample: Tensor, num_clusters: int) -> Tensor:
    """Returns [C, D] by Lloyd's iterations, from the first rows of the sample.

    A centroid that loses all its rows stays where it is.

    Args:
      sample: [n, D] float32 in random order, n at least C.
      num_clusters: C.
    """
    centroids = sample[:num_clusters].clone()
    for _ in range(_NUM_ITERATIONS):
        cluster = torch.cat(
            [nearest(part, centroids) for part in torch.split(sample, _BLOCK_ROWS)]
        )
        sums = torch.zeros_like(centroids).index_add_(0, cluster, sample)
        sizes = torch.bincount(cluster, minlength=num_clusters)[:, None]
        centroids = torch.where(sizes > 0, sums / sizes.clamp_min(1), centroids)
    return centroids


def nearest(rows: Tensor, centroids: Tensor) -> Tensor:
    """Returns [n] int64, the centroid of the smallest distance to each row."""
    halves = centroids.square().sum(1) / 2
    return torch.addmm(-halves, rows, centroids.t()).argmax(1)
