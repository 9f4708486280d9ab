# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Ranks the entities of edges among negatives, chunk by chunk, in compiled loops.

Some edges at a time, of both sides: their rows, scores and gradients stay in the
core's cache from the first product to the last.

Letters in shapes: B edges, P chunks of any sizes and entity types, C edges of a
chunk, N negatives of a chunk, R relations, D embedding dimension.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twhin.cpu.blas import multiply
from twhin.cpu.compiled import compiled
from twhin.model.compiled_rows import (
    add_rows,
    flow_back,
    normalize,
    scale_rows,
    shift_rows,
    zero_rows,
)
from twhin.model.compiled_softmax import softmax
from twhin.model.ranked_chunks import ChunkedEdges, Corrections, Objective, RankedSide

_NOTHING = np.float32(0.0)
# Edges at a time, where those of a chunk are not each other's negatives.
_EDGES_AT_ONCE = 256


class _Space(NamedTuple):
    """Where one side of some edges is worked on; used again for the next.

    Attributes:
      query: [C, D], queries as they are compared.
      query_norms: [C], their norms before.
      query_flow: [C, D], the gradient of the queries.
      entities: [C, D], entities of norm 1; [C, 0] for dot products.
      entity_norms: [C], as above.
      negatives: [N, D], as `entities`.
      negative_norms: [N], as above.
      negative_flow: [N, D], the gradient of negatives that is added at the end;
        [0, D] where it is not.
      weight: [C], the factor of each edge's loss.
      own: [C], scores of the edges' entities, then their derivatives.
      scores: The scores of negatives, then their derivatives.
    """

    query: NDArray[np.float32]
    query_norms: NDArray[np.float32]
    query_flow: NDArray[np.float32]
    entities: NDArray[np.float32]
    entity_norms: NDArray[np.float32]
    negatives: NDArray[np.float32]
    negative_norms: NDArray[np.float32]
    negative_flow: NDArray[np.float32]
    weight: NDArray[np.float32]
    own: NDArray[np.float32]
    scores: NDArray[np.float32]


@compiled
def rank(
    first: int,
    last: int,
    edges: ChunkedEdges,
    sides: tuple[RankedSide, RankedSide],
    rows: tuple[NDArray[np.float32], ...],
    gradients: tuple[NDArray[np.float32], ...],
    objective: Objective,
) -> NDArray[np.float64]:
    """Ranks the entities of some chunks by softmax; see `losses.softmax_loss`.

    Args:
      first: The first chunk.
      last: Behind the last chunk.
      edges: The edges.
      sides: What is ranked for each.
      rows: [n, D] of each table.
      gradients: [n, D] of each table. Those of entities and of negatives are
        written, then those of known vectors are added.
      objective: What is computed.

    Returns:
      The sum of the losses of each side.
    """
    losses = np.zeros(len(sides))
    most_edges = most_negatives = 0
    for p in range(first, last):
        most_edges = max(most_edges, edges.bounds[p + 1] - edges.bounds[p])
        for side in sides:
            most_negatives = max(most_negatives, side.places[p]["num_negatives"])
    at_once = most_edges if objective.in_batch else min(most_edges, _EDGES_AT_ONCE)
    dim = rows[0].shape[1]
    lhs = _make_space(at_once, most_negatives, dim, objective)
    rhs = _make_space(at_once, most_negatives, dim, objective)
    for p in range(first, last):
        if objective.is_cosine:
            _compare(sides[0].places[p], rows, lhs)
            _compare(sides[1].places[p], rows, rhs)
        size = edges.bounds[p + 1] - edges.bounds[p]
        for start in range(0, size, at_once):
            some = (p, start, min(start + at_once, size))
            losses[0] += _rank_some(
                some, edges, sides[0], rows, gradients, objective, lhs
            )
            losses[1] += _rank_some(
                some, edges, sides[1], rows, gradients, objective, rhs
            )
            _add_known(some, edges, sides[0], gradients, lhs.query_flow)
            _add_known(some, edges, sides[1], gradients, rhs.query_flow)
        _finish(p, sides[0], gradients, objective, lhs)
        _finish(p, sides[1], gradients, objective, rhs)
    return losses


@compiled
def _rank_some(
    some: tuple[int, int, int],
    edges: ChunkedEdges,
    side: RankedSide,
    rows: tuple[NDArray[np.float32], ...],
    gradients: tuple[NDArray[np.float32], ...],
    objective: Objective,
    space: _Space,
) -> float:
    """Ranks one side of the edges [start, stop) of a chunk; returns their loss.

    Writes the gradients of entities and queries, and writes or adds those of
    negatives.
    """
    p, start, stop = some
    place = side.places[p]
    count, n = stop - start, place["num_negatives"]
    entities = _some(place["table"], place["entities"], some, rows)
    entity_flow = _some(place["table"], place["entities"], some, gradients)
    if not side.weight:
        zero_rows(entity_flow)
        return 0.0
    first = edges.bounds[p] + start
    query, negatives = space.query[:count], _negatives(place, rows)
    shift_rows(
        _some(place["known_table"], place["known"], some, rows),
        edges.rel[first : first + count],
        side.shift,
        query,
    )
    if objective.is_cosine:
        normalize(query, query, space.query_norms)
        normalize(entities, space.entities, space.entity_norms)
        entities, negatives = space.entities[:count], space.negatives[:n]
    width = n + count if objective.in_batch else n
    scores = space.scores[: width * count].reshape(width, count)
    multiply(negatives, False, query, True, 0.0, scores[:n])
    if objective.in_batch:
        multiply(entities, False, query, True, 0.0, scores[n:])
    own, query_flow = space.own[:count], space.query_flow[:count]
    for c in range(count):
        score = _NOTHING
        for d in range(query.shape[1]):
            score += query[c, d] * entities[c, d]
        own[c] = score
    _correct(scores, own, side.corrections, place, first)
    weight = space.weight[:count]
    for c in range(count):
        weight[c] = side.weight * edges.weight[first + c]
    loss = softmax(scores, own, weight, objective.factor)
    scale_rows(own, entities, query_flow)
    scale_rows(own, query, entity_flow)
    multiply(scores[:n], True, negatives, False, 1.0, query_flow)
    negative_flow = _negative_flow(place, gradients, objective, space)
    beta = 0.0 if start == 0 else 1.0
    multiply(scores[:n], False, query, False, beta, negative_flow)
    if objective.in_batch:
        multiply(scores[n:], True, entities, False, 1.0, query_flow)
        multiply(scores[n:], False, query, False, 1.0, entity_flow)
    if objective.is_cosine:
        flow_back(entity_flow, entities, space.entity_norms)
        flow_back(query_flow, query, space.query_norms)
    return loss


@compiled
def _add_known(
    some: tuple[int, int, int],
    edges: ChunkedEdges,
    side: RankedSide,
    gradients: tuple[NDArray[np.float32], ...],
    query_flow: NDArray[np.float32],
) -> None:
    """Adds the gradients of queries to those of known vectors and of shifts."""
    if not side.weight:
        return
    p, start, stop = some
    place = side.places[p]
    flow = _some(place["known_table"], place["known"], some, gradients)
    first = edges.bounds[p] + start
    add_rows(query_flow[: stop - start], flow)
    if len(side.shift):
        for c in range(stop - start):
            shift_flow = side.shift_gradient[edges.rel[first + c]]
            for d in range(flow.shape[1]):
                shift_flow[d] += query_flow[c, d]


@compiled
def _finish(
    p: int,
    side: RankedSide,
    gradients: tuple[NDArray[np.float32], ...],
    objective: Objective,
    space: _Space,
) -> None:
    """Completes the gradients of a chunk's negatives."""
    place = side.places[p]
    flow = _negative_flow(place, gradients, objective, space)
    if not side.weight:
        zero_rows(flow)
    elif objective.is_cosine:
        flow_back(flow, space.negatives, space.negative_norms)
    if objective.adds:
        add_rows(flow, _negatives(place, gradients))


@compiled
def _make_space(count: int, n: int, dim: int, objective: Objective) -> _Space:
    """Returns space for the edges and the negatives of any chunk."""
    width = n + count if objective.in_batch else n
    compared = dim if objective.is_cosine else 0
    return _Space(
        query=np.empty((count, dim), np.float32),
        query_norms=np.empty(count, np.float32),
        query_flow=np.empty((count, dim), np.float32),
        entities=np.empty((count, compared), np.float32),
        entity_norms=np.empty(count, np.float32),
        negatives=np.empty((n, compared), np.float32),
        negative_norms=np.empty(n, np.float32),
        negative_flow=np.empty((n if objective.adds else 0, dim), np.float32),
        weight=np.empty(count, np.float32),
        own=np.empty(count, np.float32),
        scores=np.empty(width * count, np.float32),
    )


@compiled
def _some(
    table: int,
    first: int,
    some: tuple[int, int, int],
    rows: tuple[NDArray[np.float32], ...],
) -> NDArray[np.float32]:
    """Returns the rows of the edges [start, stop) of a chunk."""
    _, start, stop = some
    of_table: NDArray[np.float32] = rows[table]
    return of_table[first + start : first + stop]


@compiled
def _negatives(
    place: np.void, rows: tuple[NDArray[np.float32], ...]
) -> NDArray[np.float32]:
    """Returns the rows of a chunk's drawn negatives."""
    of_table: NDArray[np.float32] = rows[place["table"]]
    return of_table[place["negatives"] : place["negatives"] + place["num_negatives"]]


@compiled
def _compare(
    place: np.void, rows: tuple[NDArray[np.float32], ...], space: _Space
) -> None:
    """Gives the rows of a chunk's drawn negatives a norm of 1."""
    normalize(_negatives(place, rows), space.negatives, space.negative_norms)


@compiled
def _negative_flow(
    place: np.void,
    gradients: tuple[NDArray[np.float32], ...],
    objective: Objective,
    space: _Space,
) -> NDArray[np.float32]:
    """Returns where the gradients of a chunk's drawn negatives are written."""
    if objective.adds:
        return space.negative_flow[: place["num_negatives"]]
    return _negatives(place, gradients)


@compiled
def _correct(
    scores: NDArray[np.float32],
    own: NDArray[np.float32],
    corrections: Corrections,
    place: np.void,
    first: int,
) -> None:
    """Subtracts log q, and gives masked pairs a score of -inf."""
    width, count = scores.shape
    n = place["num_negatives"]
    if corrections.log_q.size:
        drawn = corrections.negative_log_q[place["log_q"] :]
        log_q = corrections.log_q[first : first + count]
        for c in range(count):
            own[c] -= log_q[c]
        for k in range(width):
            subtracted = drawn[k] if k < n else log_q[k - n]
            for c in range(count):
                scores[k, c] -= subtracted
    masked = corrections.masked
    m = np.searchsorted(masked[0], first)
    while m < masked.shape[1] and masked[0, m] < first + count:
        scores[masked[1, m], masked[0, m] - first] = -np.inf
        m += 1
