# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Ranks the entities of edges among negatives, chunk by chunk, in compiled loops.

Some edges at a time, of both sides: their rows, scores and gradients stay in the
core's cache from the first product to the last.

Letters in shapes: B edges, P chunks of any sizes and entity types, C edges of a
chunk, N negatives of a chunk, R relations, D embedding dimension.
"""

import numpy as np
from numpy.typing import NDArray

from twhin.cpu.compiled import compiled
from twhin.cpu.pieces import Pieces, take
from twhin.model.compiled_factor import (
    Factor,
    multiply,
    part,
    round_factor,
    shaped,
)
from twhin.model.compiled_rows import (
    add_rows,
    flow_back,
    multiply_rows,
    normalize,
    scale_rows,
    shift_rows,
    zero_rows,
)
from twhin.model.compiled_softmax import softmax
from twhin.model.compiled_sources import chosen, entity_rows, known_vectors
from twhin.model.compiled_space import Space, make_space
from twhin.model.ranked_chunks import (
    ChunkedEdges,
    Corrections,
    Objective,
    RankedSide,
    Source,
)

# Edges at a time, where those of a chunk are not each other's negatives: many, for
# fast products, of so few scores that they stay in the core's cache.
_MOST_AT_ONCE, _FEWEST_AT_ONCE = 600, 256
_SCORES_AT_ONCE = 1 << 17


@compiled
def rank(
    work: Pieces,
    edges: ChunkedEdges,
    sides: tuple[RankedSide, RankedSide],
    sources: tuple[Source, ...],
    gradients: tuple[NDArray[np.float32], ...],
    objective: Objective,
    losses: NDArray[np.float64],
) -> None:
    """Ranks the entities of some chunks by softmax; see `losses.softmax_loss`.

    Args:
      work: Pieces of the chunks.
      edges: The edges.
      sides: What is ranked for each.
      sources: The vectors of each table.
      gradients: [k, D] of each table, for rows as they are in `PLACE`. Those of
        entities and of negatives are written, then those of known vectors are added.
      objective: What is computed.
      losses: [K, 2], the sum of the losses of each side; added to.
    """
    most_edges = most_negatives = 0
    for p in range(work.bounds[0], work.bounds[-1]):
        most_edges = max(most_edges, edges.bounds[p + 1] - edges.bounds[p])
        for side in sides:
            most_negatives = max(most_negatives, side.places[p]["num_negatives"])
    at_once = most_edges
    if not objective.in_batch:
        at_once = _edges_at_once(most_edges, most_negatives)
    dim = sources[0].table.shape[1]
    lhs = make_space(at_once, most_negatives, dim, objective)
    rhs = make_space(at_once, most_negatives, dim, objective)
    k = take(work)
    while k + 1 < len(work.bounds):
        for p in range(work.bounds[k], work.bounds[k + 1]):
            _rank_chunk(
                p, k, edges, sides, sources, gradients, objective, (lhs, rhs), losses[k]
            )
        k = take(work)


@compiled
def _rank_chunk(
    p: int,
    k: int,
    edges: ChunkedEdges,
    sides: tuple[RankedSide, RankedSide],
    sources: tuple[Source, ...],
    gradients: tuple[NDArray[np.float32], ...],
    objective: Objective,
    spaces: tuple[Space, Space],
    losses: NDArray[np.float64],
) -> None:
    """Ranks both sides of a chunk; see `rank`.

    Args:
      p: The chunk.
      k: Its piece.
      edges: The edges.
      sides: What is ranked for each.
      sources: The vectors of each table.
      gradients: Written and added to.
      objective: What is computed.
      spaces: Where each side is worked on.
      losses: [2], added to.
    """
    lhs, rhs = spaces
    lhs_negatives = _compare_negatives(p, sides[0], sources, objective, lhs)
    rhs_negatives = _compare_negatives(p, sides[1], sources, objective, rhs)
    size, at_once = edges.bounds[p + 1] - edges.bounds[p], len(lhs.own)
    for start in range(0, size, at_once):
        some = (p, start, min(start + at_once, size))
        lhs_rows = entity_rows(some, sides[0], sources, lhs.rows)
        rhs_rows = entity_rows(some, sides[1], sources, rhs.rows)
        known = known_vectors(some, sides[0], sources, objective, rhs_rows)
        _make_queries(some, edges, sides[0], known, objective, lhs)
        known = known_vectors(some, sides[1], sources, objective, lhs_rows)
        _make_queries(some, edges, sides[1], known, objective, rhs)
        losses[0] += _rank_some(
            some, edges, sides[0], lhs_rows, lhs_negatives, gradients, objective, lhs
        )
        losses[1] += _rank_some(
            some, edges, sides[1], rhs_rows, rhs_negatives, gradients, objective, rhs
        )
        _add_known(some, k, edges, sides[0], gradients, lhs.query_flow)
        _add_known(some, k, edges, sides[1], gradients, rhs.query_flow)
    _finish(p, sides[0], gradients, objective, lhs)
    _finish(p, sides[1], gradients, objective, rhs)


@compiled
def _edges_at_once(most_edges: int, most_negatives: int) -> int:
    """Returns C, for equal parts of the largest chunk."""
    fitting = _SCORES_AT_ONCE // max(most_negatives, 1)
    limit = max(min(fitting, _MOST_AT_ONCE), _FEWEST_AT_ONCE)
    num_parts = max(-(-most_edges // limit), 1)
    return -(-most_edges // num_parts)


@compiled
def _compare_negatives(
    p: int,
    side: RankedSide,
    sources: tuple[Source, ...],
    objective: Objective,
    space: Space,
) -> Factor:
    """Returns a chunk's drawn negatives as they are compared."""
    if not side.weight:
        return space.negatives
    place = side.places[p]
    source: Source = sources[place["table"]]
    drawn = chosen(source, place["negatives"], place["num_negatives"], space.drawn)
    own = part(space.negatives, 0, len(drawn))
    return _compared(drawn, objective, own, space.negative_norms)


@compiled
def _make_queries(
    some: tuple[int, int, int],
    edges: ChunkedEdges,
    side: RankedSide,
    known: NDArray[np.float32],
    objective: Objective,
    space: Space,
) -> None:
    """Makes what one side of the edges [start, stop) of a chunk is compared with."""
    if not side.weight:
        return
    p, start, stop = some
    first, count = edges.bounds[p] + start, stop - start
    query = part(space.query, 0, count)
    shift_rows(known, edges.rel[first : first + count], side.shift, query.exact)
    _compared(query.exact, objective, query, space.query_norms)


@compiled
def _rank_some(
    some: tuple[int, int, int],
    edges: ChunkedEdges,
    side: RankedSide,
    rows: NDArray[np.float32],
    negatives: Factor,
    gradients: tuple[NDArray[np.float32], ...],
    objective: Objective,
    space: Space,
) -> float:
    """Ranks one side of the edges [start, stop) of a chunk; returns their loss.

    Writes the gradients of entities and queries, and adds up those of negatives in
    `space`.
    """
    p, start, stop = some
    place = side.places[p]
    count, n = stop - start, place["num_negatives"]
    entity_flow = _some(place["table"], place["entities"], some, gradients)
    if not side.weight:
        zero_rows(entity_flow)
        return 0.0
    query = part(space.query, 0, count)
    entities = _compared(
        rows,
        objective,
        Factor(
            exact=space.entities.exact[:count],
            # Products take them where they are each other's negatives.
            low=space.entities.low[: count if objective.in_batch else 0],
        ),
        space.entity_norms,
    )
    width = n + count if objective.in_batch else n
    scores = shaped(space.scores, width, count)
    multiply(negatives, False, query, True, 0.0, scores.exact[:n])
    if objective.in_batch:
        multiply(entities, False, query, True, 0.0, scores.exact[n:])
    own, query_flow = space.own[:count], space.query_flow[:count]
    multiply_rows(query.exact, entities.exact, own)
    first = edges.bounds[p] + start
    _correct(scores.exact, own, side.corrections, place, first)
    weight = space.weight[:count]
    for c in range(count):
        weight[c] = side.weight * edges.weight[first + c]
    loss = softmax(scores.exact, own, weight, objective.factor)
    round_factor(scores)
    drawn, others = part(scores, 0, n), part(scores, n, width)
    scale_rows(own, entities.exact, query_flow)
    scale_rows(own, query.exact, entity_flow)
    multiply(drawn, True, negatives, False, 1.0, query_flow)
    if objective.in_batch:
        multiply(others, True, entities, False, 1.0, query_flow)
        multiply(others, False, query, False, 1.0, entity_flow)
    beta = 0.0 if start == 0 else 1.0
    multiply(drawn, False, query, False, beta, space.negative_flow[:n])
    if objective.is_cosine:
        flow_back(entity_flow, entities.exact, space.entity_norms)
        flow_back(query_flow, query.exact, space.query_norms)
    return loss


@compiled
def _add_known(
    some: tuple[int, int, int],
    k: int,
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
            shift_flow = side.shift_gradient[k, edges.rel[first + c]]
            for d in range(flow.shape[1]):
                shift_flow[d] += query_flow[c, d]


@compiled
def _finish(
    p: int,
    side: RankedSide,
    gradients: tuple[NDArray[np.float32], ...],
    objective: Objective,
    space: Space,
) -> None:
    """Writes or adds the gradients of a chunk's negatives."""
    place = side.places[p]
    of_table: NDArray[np.float32] = gradients[place["table"]]
    first = place["negatives"]
    out = of_table[first : first + place["num_negatives"]]
    flow = space.negative_flow[: len(out)]
    if not side.weight:
        zero_rows(flow)
    elif objective.is_cosine:
        flow_back(flow, space.negatives.exact, space.negative_norms)
    if objective.adds:
        add_rows(flow, out)
    else:
        out[:] = flow


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
def _compared(
    vectors: NDArray[np.float32],
    objective: Objective,
    own: Factor,
    norms: NDArray[np.float32],
) -> Factor:
    """Returns vectors as they are compared.

    Args:
      vectors: [n, D].
      objective: What is computed.
      own: [n, D], written where they must change; may hold `vectors`.
      norms: [n], their norms, written for cosines.
    """
    if objective.is_cosine:
        normalize(vectors, own.exact, norms)
        vectors = own.exact
    found = Factor(exact=vectors, low=own.low)
    round_factor(found)
    return found


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
