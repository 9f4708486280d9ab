# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Sampled softmax over dot products or cosines, with its gradients, chunk by chunk.

Letters in shapes: B edges, P chunks of any sizes and entity types, C edges of a
chunk, N negatives of a chunk, D embedding dimension.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twhin.cpu.blas import multiply
from twhin.cpu.compiled import compiled
from twhin.model.comparators import MIN_NORM

_MIN_NORM = np.float32(MIN_NORM)
_LOWEST = np.float32(-87.0)  # exp of less is no normal float32.
_LOG2_E = np.float32(1.4426950408889634)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
# ln 2 in two parts, the first of few bits, so that k ln 2 is exact.
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
# exp(x) on [-ln 2 / 2, ln 2 / 2] as 1 + x + x^2 p(x); Cephes (Moshier, 1992), expf.
_P5 = np.float32(1.9875691500e-4)
_P4 = np.float32(1.3981999507e-3)
_P3 = np.float32(8.3334519073e-3)
_P2 = np.float32(4.1665795894e-2)
_P1 = np.float32(1.6666665459e-1)
_P0 = np.float32(5.0000001201e-1)
_EXPONENT_BIAS, _MANTISSA_BITS = np.int32(127), np.int32(23)


class Chunks(NamedTuple):
    """Where the P chunks of one side are; all [P] int64.

    Attributes:
      table: The entity type, as a position in the tuples of rows and gradients.
      edges: The first edge.
      sizes: C of each chunk.
      entities: The row of the first edge's entity; the others follow.
      negatives: The row of the first drawn negative; the others follow.
      counts: The number of drawn negatives, N of each chunk.
      log_q: The position of the first drawn negative's log q.
    """

    table: NDArray[np.int64]
    edges: NDArray[np.int64]
    sizes: NDArray[np.int64]
    entities: NDArray[np.int64]
    negatives: NDArray[np.int64]
    counts: NDArray[np.int64]
    log_q: NDArray[np.int64]


class Corrections(NamedTuple):
    """What changes scores of one side.

    Attributes:
      masked_edges: [M] int64, ascending; with `masked_columns` the pairs of an edge
        and a negative that do not count.
      masked_columns: [M] int64: a drawn negative of the edge's chunk, or N + c for
        the entity of the chunk's edge c.
      log_q: [B] float32, subtracted from the scores of the edges' entities; [0] for 0.
      negative_log_q: [K] float32, the same of drawn negatives.
    """

    masked_edges: NDArray[np.int64]
    masked_columns: NDArray[np.int64]
    log_q: NDArray[np.float32]
    negative_log_q: NDArray[np.float32]


class Objective(NamedTuple):
    """What is computed.

    Attributes:
      factor: Multiplies all scores: 1 / temperature.
      is_cosine: Whether vectors are compared by cosine instead of by dot product.
      in_batch: Whether the entities of a chunk are negatives too.
      adds: Whether gradients of drawn negatives are added to what is there.
    """

    factor: np.float32
    is_cosine: bool
    in_batch: bool
    adds: bool


@compiled
def rank(
    queries: NDArray[np.float32],
    weight: NDArray[np.float32],
    rows: tuple[NDArray[np.float32], ...],
    gradients: tuple[NDArray[np.float32], ...],
    query_gradient: NDArray[np.float32],
    chunks: Chunks,
    corrections: Corrections,
    objective: Objective,
) -> float:
    """Ranks each edge's entity among its negatives; see `losses.softmax_loss`.

    Args:
      queries: [B, D].
      weight: [B], the factor of each edge's loss.
      rows: [n, D] of each entity type.
      gradients: [n, D] of each entity type; those of the chunks' rows are written.
      query_gradient: [B, D], written.
      chunks: Which rows belong to which edges.
      corrections: Changes of scores.
      objective: What is computed.

    Returns:
      The sum of the losses.
    """
    size, count, dim = max(chunks.sizes), max(chunks.counts), queries.shape[1]
    width = count + size if objective.in_batch else count
    all_scores = np.empty(size * width, np.float32)
    exponents = np.empty(width, np.int32)
    query_space, query_norms = _space(size, dim, objective.is_cosine)
    entity_space, entity_norms = _space(size, dim, objective.is_cosine)
    space, norms = _space(count, dim, objective.is_cosine)
    added = np.empty((count if objective.adds else 0, dim), np.float32)
    loss = 0.0
    for p in range(len(chunks.table)):
        first, size, n = chunks.edges[p], chunks.sizes[p], chunks.counts[p]
        width = n + size if objective.in_batch else n
        scores = all_scores[: size * width].reshape(size, width)
        table, gradient = rows[chunks.table[p]], gradients[chunks.table[p]]
        start, drawn = chunks.entities[p], chunks.negatives[p]
        query = _compared(queries[first : first + size], query_space, query_norms)
        entity = _compared(table[start : start + size], entity_space, entity_norms)
        negatives = _compared(table[drawn : drawn + n], space, norms)
        multiply(query, False, negatives, True, 0.0, scores[:, :n])
        if objective.in_batch:
            multiply(query, False, entity, True, 0.0, scores[:, n:])
        _correct(scores, chunks, corrections, p)
        query_flow = query_gradient[first : first + size]
        entity_flow = gradient[start : start + size]
        for c in range(size):
            score = np.float32(0.0)
            for d in range(dim):
                score += query[c, d] * entity[c, d]
            if corrections.log_q.size:
                score -= corrections.log_q[first + c]
            top = max(score, _largest(scores[c]))
            factor = objective.factor
            share = np.float32(math.exp((score - top) * factor))
            total = share + _exponentiate(scores[c], top, factor, exponents)
            edge_weight = weight[first + c]
            loss += edge_weight * (math.log(total) + (top - score) * factor)
            scale = edge_weight * factor / total
            for k in range(width):
                scores[c, k] *= scale
            flow = share * scale - edge_weight * factor
            for d in range(dim):
                query_flow[c, d] = flow * entity[c, d]
                entity_flow[c, d] = flow * query[c, d]
        multiply(scores[:, :n], False, negatives, False, 1.0, query_flow)
        drawn_flow = gradient[drawn : drawn + n]
        target = added[:n] if objective.adds else drawn_flow
        multiply(scores[:, :n], True, query, False, 0.0, target)
        _flow_back(target, negatives, norms)
        if objective.adds:
            drawn_flow += target
        if objective.in_batch:
            multiply(scores[:, n:], False, entity, False, 1.0, query_flow)
            multiply(scores[:, n:], True, query, False, 1.0, entity_flow)
        _flow_back(entity_flow, entity, entity_norms)
        _flow_back(query_flow, query, query_norms)
    return loss


@compiled
def _space(
    num_rows: int, dim: int, is_cosine: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns space for rows of norm 1, and for their norms; none for dot products."""
    if not is_cosine:
        return np.empty((num_rows, 0), np.float32), np.empty(0, np.float32)
    return np.empty((num_rows, dim), np.float32), np.empty(num_rows, np.float32)


@compiled
def _compared(
    rows: NDArray[np.float32], unit: NDArray[np.float32], norms: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns rows as they are compared: as they are, or, given space, of norm 1."""
    if not norms.size:
        return rows
    for r in range(len(rows)):
        squares = np.float32(0.0)
        for d in range(rows.shape[1]):
            squares += rows[r, d] * rows[r, d]
        norms[r] = max(np.float32(math.sqrt(squares)), _MIN_NORM)
        for d in range(rows.shape[1]):
            unit[r, d] = rows[r, d] / norms[r]
    return unit[: len(rows)]


@compiled
def _flow_back(
    gradient: NDArray[np.float32],
    compared: NDArray[np.float32],
    norms: NDArray[np.float32],
) -> None:
    """Turns the gradient by `_compared(rows)` into that by rows, in place.

    (g - (g . u) u) / |x| for u = x / |x|.
    """
    if not norms.size:
        return
    for r in range(len(gradient)):
        along = np.float32(0.0)
        for d in range(gradient.shape[1]):
            along += gradient[r, d] * compared[r, d]
        for d in range(gradient.shape[1]):
            gradient[r, d] = (gradient[r, d] - along * compared[r, d]) / norms[r]


@compiled
def _correct(
    scores: NDArray[np.float32], chunks: Chunks, corrections: Corrections, chunk: int
) -> None:
    """Subtracts log q from a chunk's scores, and makes masked ones -inf."""
    first, n = chunks.edges[chunk], chunks.counts[chunk]
    size, width = scores.shape
    if corrections.log_q.size:
        drawn = corrections.negative_log_q[chunks.log_q[chunk] :]
        own = corrections.log_q[first:]
        for c in range(size):
            for k in range(n):
                scores[c, k] -= drawn[k]
            for k in range(n, width):
                scores[c, k] -= own[k - n]
    place = np.searchsorted(corrections.masked_edges, first)
    while place < len(corrections.masked_edges):
        edge = corrections.masked_edges[place] - first
        if edge >= size:
            break
        scores[edge, corrections.masked_columns[place]] = -np.inf
        place += 1


@functools.partial(compiled, no_nan=True)
def _largest(scores: NDArray[np.float32]) -> np.float32:
    """Returns the largest score; any, where one is not a number."""
    top = np.float32(-np.inf)
    for n in range(len(scores)):
        top = max(top, scores[n])
    return top


@compiled
def _exponentiate(
    scores: NDArray[np.float32],
    top: np.float32,
    factor: np.float32,
    exponents: NDArray[np.int32],
) -> np.float32:
    """Turns scores into exp(factor (score - top)); returns their sum.

    Args:
      scores: [N], at most `top`.
      top: A score.
      factor: Multiplies the scores.
      exponents: [N], for use in between.
    """
    powers = exponents.view(np.float32)
    for n in range(len(scores)):
        exact = (scores[n] - top) * factor
        x = _LOWEST if exact < _LOWEST else exact
        k = np.float32(math.floor(x * _LOG2_E + _HALF))
        f = x - k * _LN2_HIGH - k * _LN2_LOW
        p = ((((_P5 * f + _P4) * f + _P3) * f + _P2) * f + _P1) * f + _P0
        y = p * f * f + f + _ONE
        scores[n] = np.float32(0.0) if exact < _LOWEST else y
        exponents[n] = (np.int32(k) + _EXPONENT_BIAS) << _MANTISSA_BITS
    total = np.float32(0.0)
    for n in range(len(scores)):
        scores[n] *= powers[n]
        total += scores[n]
    return total
