# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Sampled softmax of some edges, with its derivatives, in a compiled loop."""

import math

import numpy as np
from numpy.typing import NDArray

from twhin.cpu.compiled import compiled
from twhin.cpu.exponential import LOG2_E, exp2


@compiled
def softmax(
    scores: NDArray[np.float32],
    own: NDArray[np.float32],
    weight: NDArray[np.float32],
    factor: np.float32,
) -> float:
    """Returns the weighted sum of losses; turns scores into their derivatives.

    Candidates are rows, so that edges lie side by side: what is done to all of them
    is done to many at once. See `losses.softmax_loss` for the formula.

    Args:
      scores: [K, C], of K negatives for each of C edges; overwritten.
      own: [C], of the edges' own entities; overwritten.
      weight: [C], the factor of each edge's loss.
      factor: Multiplies all scores: 1 / temperature.
    """
    num_negatives, num_edges = scores.shape
    to_power = factor * LOG2_E
    top = own.copy()
    for k in range(num_negatives):
        for c in range(num_edges):
            top[c] = max(top[c], scores[k, c])
    share = np.empty(num_edges, np.float32)
    total = np.empty(num_edges, np.float32)
    for c in range(num_edges):
        share[c] = exp2((own[c] - top[c]) * to_power)
        total[c] = share[c]
    for k in range(num_negatives):
        for c in range(num_edges):
            power = exp2((scores[k, c] - top[c]) * to_power)
            scores[k, c] = power
            total[c] += power
    loss = 0.0
    for c in range(num_edges):
        scale = weight[c] * factor
        loss += weight[c] * (math.log(total[c]) + (top[c] - own[c]) * factor)
        total[c] = scale / total[c]
        own[c] = share[c] * total[c] - scale
    for k in range(num_negatives):
        for c in range(num_edges):
            scores[k, c] *= total[c]
    return loss
