# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Some chunks of a step, as the arrays that compiled loops take."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from twhin.model.edge_group import EdgeGroup
from twhin.model.group_part import GroupPart, divide, join
from twhin.model.ranked_chunks import PLACE, ChunkedEdges, Corrections, StepChunks
from twhin.side import Side


def step_chunks(groups: Sequence[EdgeGroup], tables: Iterable[str]) -> StepChunks:
    """Returns the chunks of a step, one group behind the other.

    Args:
      groups: The edges; at least one group.
      tables: The entity types whose rows are looked up.
    """
    chunks = [part for group in groups for part in divide(group, 1)]
    names = tuple(tables)
    position = {name: place for place, name in enumerate(names)}
    return StepChunks(
        tables=names,
        edges=_chunked_edges(chunks),
        places=(
            _places(chunks, Side.LHS, position),
            _places(chunks, Side.RHS, position),
        ),
        corrections=(
            _corrections(chunks, Side.LHS),
            _corrections(chunks, Side.RHS),
        ),
    )


def _chunked_edges(chunks: Sequence[GroupPart]) -> ChunkedEdges:
    """Returns the edges of chunks, counted over all of them."""
    spans = list(join(chunks))
    return ChunkedEdges(
        bounds=np.cumsum([0, *map(len, chunks)]),
        rel=np.concatenate([span.of(span.group.rel).numpy() for span in spans]),
        weight=np.concatenate([span.of(span.group.weight).numpy() for span in spans]),
    )


def _places(
    chunks: Sequence[GroupPart], side: Side, tables: Mapping[str, int]
) -> NDArray[np.void]:
    """Returns where entities, negatives and known vectors of a side are, [P] `PLACE`.

    Known vectors are rows of the other side's entities.

    Args:
      chunks: The chunks.
      side: The side that is ranked.
      tables: The position of each entity type among the tables.
    """
    other = Side.RHS if side is Side.LHS else Side.LHS
    found, log_q = [], 0
    for chunk in chunks:
        name, own = chunk.group.sides[side]
        known_name, known = chunk.group.sides[other]
        found.append(
            (
                tables[name],
                chunk.entities_of(own).start,
                chunk.negatives_of(own).start,
                own.num_negatives,
                log_q,
                tables[known_name],
                chunk.entities_of(known).start,
            )
        )
        log_q += own.num_negatives
    return np.array(found, PLACE)


def _corrections(chunks: Sequence[GroupPart], side: Side) -> Corrections:
    """Returns what changes the scores of a side, edges counted over all chunks."""
    edges: list[NDArray[np.int64]] = []
    columns: list[NDArray[np.int64]] = []
    log_q = [np.empty(0, dtype=np.float32)]
    negative_log_q = [np.empty(0, dtype=np.float32)]
    first = 0
    for span in join(chunks):
        _, own = span.group.sides[side]
        for masked, offset in (
            (own.masked_negatives, 0),
            (own.masked_in_batch, own.num_negatives),
        ):
            if masked is not None:
                inside = span.pairs_of(masked).numpy()
                edges.append(inside[0] + first)
                columns.append(inside[1] + offset)
        if own.log_q is not None and own.negative_log_q is not None:
            log_q.append(span.of(own.log_q).numpy())
            chosen = own.negative_log_q[span.chunks.start : span.chunks.stop]
            negative_log_q.append(chosen.numpy().reshape(-1))
        first += len(span)
    masked_edges, masked_columns = np.concatenate(edges), np.concatenate(columns)
    order = np.argsort(masked_edges)
    return Corrections(
        masked=np.stack((masked_edges[order], masked_columns[order])),
        log_q=np.concatenate(log_q),
        negative_log_q=np.concatenate(negative_log_q),
    )
