# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rows that start near those of their neighbours.

From random rows x_0, hop by hop along training edges in both directions,

    x_k(i) = unit( sum over edges {i, j} of w x_(k-1)(j) / sqrt(d_j) )
    x(i)   = s unit( x_0(i) / |x_0(i)| + x_1(i) + ... + x_K(i) )

with unit(v) = v / |v|, w the edge's weight times that of its relation, and d_j the
sum of w over the edges of j. Entities without edges keep their direction. Relations
are not told apart: they start as operators that change little.

Reference: Chen et al., "Fast and Accurate Network Embeddings via Very Sparse Random
Projection" (FastRP), arXiv 1908.11512, with Gaussian projections.

Letters in shapes: n rows of a part, d columns of a part, D embedding dimension, m
pairs of a row and a neighbour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twhin.checkpoint.table_part import TablePart
from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.edge_files import EdgeFiles
from twhin.graph.schema import GraphSchema
from twhin.training.entity_tables import EntityTables
from twhin.training.job import Job


def add_neighborhoods(
    tables: EntityTables,
    *,
    files: Sequence[str],
    schema: GraphSchema,
    relation_weights: Sequence[float],
    num_hops: int,
    norm: float,
    job: Job,
    max_lookup_bytes: int = 1 << 25,
) -> None:
    """Turns random rows x_0 into x; a collective.

    Every rank reads all edges. While it works it takes, beside its rows, twice as
    much in single precision, 20 bytes for each edge into one of its rows, and 12 for
    each row of the graph.

    Args:
      tables: The tables; their rows are changed in place.
      files: The training edges.
      schema: Entity types and relations.
      relation_weights: The factor on each relation's edges, in order of the schema.
      num_hops: K, at least 1.
      norm: s.
      job: The ranks.
      max_lookup_bytes: The bound on the rows of neighbours that are looked up at a
        time.

    Raises:
      DataError: An edge file is damaged.
    """
    names = [entity_type.name for entity_type in schema.entity_types]
    lookup_size = max(1, max_lookup_bytes // (4 * tables.embedding_dim))
    parts = [_Part(name, part) for name in names for part in tables.local_blocks(name)]
    _find_neighbors(parts, files, schema, relation_weights)
    for hop in range(num_hops + 1):
        if hop:
            sums = _sum_neighbors(tables, parts, names, lookup_size, job)
            for part, values in zip(parts, sums, strict=True):
                part.rows.copy_(values)
        _divide_by_norms([part.rows for part in parts], parts, schema, job)
        for part in parts:
            part.total += part.rows
    _divide_by_norms([part.total for part in parts], parts, schema, job)
    for part in parts:
        part.rows.copy_(norm * part.total)


class _Part:
    """Some rows of a table, with their neighbours.

    Attributes:
      entity_type: The table.
      start: The row of the table that `rows[0]` is.
      rows: [n, d] float32 or float16, x_k as a view.
      total: [n, d] float32, the sum over k.
      neighbors: By their entity type; filled by `_find_neighbors`.
    """

    def __init__(self, entity_type: str, part: TablePart) -> None:
        self.entity_type = entity_type
        self.start = part.start
        self.rows = part.rows
        self.columns = slice(part.column_start, part.column_start + part.rows.shape[1])
        self.total = torch.zeros_like(part.rows, dtype=torch.float32)
        self.neighbors: dict[str, _Neighbors] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Neighbors:
    """Pairs of a row of a part and a neighbour of one entity type.

    Attributes:
      places: [m] int64, the row of the part.
      rows: [m] int64, the row of the neighbour in its table.
      factors: [m] float32, w / sqrt(d) of the neighbour.
    """

    places: Tensor
    rows: Tensor
    factors: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    """Edges as seen from one of their ends."""

    rows: NDArray[np.int64]
    other_type: str
    others: NDArray[np.int64]
    weights: NDArray[np.float32]


def _find_neighbors(
    parts: Sequence[_Part],
    files: Sequence[str],
    schema: GraphSchema,
    relation_weights: Sequence[float],
) -> None:
    """Reads all edges and keeps those into rows of the parts."""
    degrees = {
        entity_type.name: np.zeros(entity_type.num_entities)
        for entity_type in schema.entity_types
    }
    found: list[dict[str, list[_Ends]]] = [{} for _ in parts]
    edge_files = EdgeFiles(files, schema)
    for row_group in edge_files.row_groups:
        edges = edge_files.read(row_group)
        for entity_type, ends in _ends(edges, schema, relation_weights):
            degrees[entity_type] += np.bincount(
                ends.rows, ends.weights, minlength=len(degrees[entity_type])
            )
            for part, kept in zip(parts, found, strict=True):
                if part.entity_type == entity_type:
                    own = _within(ends, part)
                    kept.setdefault(ends.other_type, []).append(own)
    for part, kept in zip(parts, found, strict=True):
        for other_type, pieces in kept.items():
            part.neighbors[other_type] = _join(pieces, degrees[other_type])
            pieces.clear()


def _ends(
    edges: EdgeColumns, schema: GraphSchema, relation_weights: Sequence[float]
) -> list[tuple[str, _Ends]]:
    """Returns both ends of the edges of each relation that weighs anything."""
    found = []
    for rel in np.unique(edges.rel):
        if not relation_weights[rel]:
            continue
        relation, chosen = schema.relations[rel], edges.rel == rel
        weights = np.full(int(chosen.sum()), relation_weights[rel], dtype=np.float32)
        if edges.weight is not None:
            weights *= edges.weight[chosen]
        lhs, rhs = edges.lhs[chosen], edges.rhs[chosen]
        for mine, rows, other, others in (
            (relation.lhs, lhs, relation.rhs, rhs),
            (relation.rhs, rhs, relation.lhs, lhs),
        ):
            ends = _Ends(rows=rows, other_type=other, others=others, weights=weights)
            found.append((mine, ends))
    return found


def _within(ends: _Ends, part: _Part) -> _Ends:
    """Returns the ends that are rows of a part, counted from its first row."""
    places = ends.rows - part.start
    is_here = (places >= 0) & (places < len(part.rows))
    return _Ends(
        rows=places[is_here],
        other_type=ends.other_type,
        others=ends.others[is_here],
        weights=ends.weights[is_here],
    )


def _join(pieces: Sequence[_Ends], degrees: NDArray[np.float64]) -> _Neighbors:
    """Returns the pieces as one, in the order of places: sums go from row to row."""
    places = np.concatenate([piece.rows for piece in pieces])
    order = np.argsort(places, kind="stable")
    others = np.concatenate([piece.others for piece in pieces])[order]
    weights = np.concatenate([piece.weights for piece in pieces])[order]
    factors = (weights / np.sqrt(degrees[others])).astype(np.float32)
    return _Neighbors(
        places=torch.from_numpy(places[order]),
        rows=torch.from_numpy(others),
        factors=torch.from_numpy(factors),
    )


def _sum_neighbors(
    tables: EntityTables,
    parts: Sequence[_Part],
    names: Sequence[str],
    size: int,
    job: Job,
) -> list[Tensor]:
    """Returns for each part the sums over its rows' neighbours, [n, d] float32.

    Up to `size` neighbours are looked up at a time.
    """
    sums = [torch.zeros_like(part.total) for part in parts]
    pieces = [
        (number, name, slice(start, start + size))
        for number, part in enumerate(parts)
        for name, neighbors in part.neighbors.items()
        for start in range(0, len(neighbors.rows), size)
    ]
    none: Mapping[str, Tensor] = dict.fromkeys(names, torch.empty(0, dtype=torch.int64))
    for turn in range(_max_over_ranks(len(pieces), job)):
        # A lookup is a collective: those who are done look nothing up.
        if turn >= len(pieces):
            tables.lookup(none)
            continue
        number, name, chosen = pieces[turn]
        neighbors, columns = parts[number].neighbors[name], parts[number].columns
        found = tables.lookup({**none, name: neighbors.rows[chosen]})[name].detach()
        factors = neighbors.factors[chosen, None].to(found.device)
        places = neighbors.places[chosen].to(found.device)
        sums[number].index_add_(0, places, found[:, columns] * factors)
    return sums


def _max_over_ranks(count: int, job: Job) -> int:
    counts = torch.zeros(job.world_size, dtype=torch.int64)
    counts[job.rank] = count
    return int(job.sum_over_ranks(counts).max())


def _divide_by_norms(
    values: Sequence[Tensor], parts: Sequence[_Part], schema: GraphSchema, job: Job
) -> None:
    """Divides rows of the parts, [n, d] each, by the norms of whole rows in place.

    A table may be divided by columns, so that no rank has a whole row. Rows of 0
    stay.
    """
    for entity_type in schema.entity_types:
        squares = torch.zeros(entity_type.num_entities)
        own = [
            (part, rows)
            for part, rows in zip(parts, values, strict=True)
            if part.entity_type == entity_type.name
        ]
        for part, rows in own:
            stop = part.start + len(rows)
            squares[part.start : stop] += rows.float().square().sum(1).cpu()
        norms = job.sum_over_ranks(squares).sqrt_()
        norms[norms == 0.0] = 1.0
        for part, rows in own:
            stop = part.start + len(rows)
            rows /= norms[part.start : stop, None].to(rows.device)
