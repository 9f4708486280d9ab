# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The limit of a training step: its matrix products and nothing else."""

import statistics
import time

import torch


def edges_per_sec(
    *, dim: int, num_negatives: int, chunk_size: int, num_chunks: int = 10
) -> float:
    """Measures how many edges a second six matrix products an edge allow.

    For each side: scores [C, D] x [D, N], and the gradients of queries
    [C, N] x [N, D] and of negatives [N, C] x [C, D], float32, batched over chunks.

    Args:
      dim: D.
      num_negatives: N.
      chunk_size: C.
      num_chunks: The chunks of one step.

    Returns:
      The median of some runs of a tenth of a second or more.
    """
    queries = torch.randn(num_chunks, chunk_size, dim)
    negatives = torch.randn(num_chunks, num_negatives, dim)
    scores = torch.empty(num_chunks, chunk_size, num_negatives)
    query_gradients = torch.empty_like(queries)
    negative_gradients = torch.empty_like(negatives)

    def step() -> None:
        for _ in range(2):
            torch.bmm(queries, negatives.transpose(1, 2), out=scores)
            torch.bmm(scores, negatives, out=query_gradients)
            torch.bmm(scores.transpose(1, 2), queries, out=negative_gradients)

    step()
    speeds = []
    for _ in range(10):
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < 0.1:
            step()
            count += 1
        secs = time.perf_counter() - start
        speeds.append(count * num_chunks * chunk_size / secs)
    return statistics.median(speeds)
