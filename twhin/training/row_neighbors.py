# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The neighbours of rows along edges in both directions.

Letters in shapes: m pairs of a row and a neighbour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.edge_files import EdgeFiles
from twhin.graph.schema import GraphSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class RowNeighbors:
    """Pairs of a row of a part and a neighbour of one entity type.

    Attributes:
      places: [m] int64, the row of the part.
      rows: [m] int64, the row of the neighbour in its table.
      factors: [m] float32, w / sqrt(d) with the edge's weight w, times that of its
        relation, and the sum d of w over the neighbour's edges.
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


def find_neighbors(
    parts: Sequence[tuple[str, range]],
    *,
    files: Sequence[str],
    schema: GraphSchema,
    relation_weights: Sequence[float],
) -> list[dict[str, RowNeighbors]]:
    """Reads all edges and keeps those into rows of the parts.

    Args:
      parts: Rows of an entity type's table each.
      files: The edges.
      schema: Entity types and relations.
      relation_weights: The factor on each relation's edges, in order of the schema;
        those of 0 are left out.

    Returns:
      For each part its neighbours, by their entity type.

    Raises:
      DataError: An edge file is damaged.
    """
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
            for (part_type, rows), kept in zip(parts, found, strict=True):
                if part_type == entity_type:
                    kept.setdefault(ends.other_type, []).append(_within(ends, rows))
    return [
        {name: _join(pieces, degrees[name]) for name, pieces in kept.items()}
        for kept in found
    ]


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


def _within(ends: _Ends, rows: range) -> _Ends:
    """Returns the ends that are among `rows`, counted from the first of them."""
    places = ends.rows - rows.start
    is_here = (places >= 0) & (places < len(rows))
    return _Ends(
        rows=places[is_here],
        other_type=ends.other_type,
        others=ends.others[is_here],
        weights=ends.weights[is_here],
    )


def _join(pieces: Sequence[_Ends], degrees: NDArray[np.float64]) -> RowNeighbors:
    """Returns the pieces as one, in the order of places: sums go from row to row."""
    places = np.concatenate([piece.rows for piece in pieces])
    order = np.argsort(places, kind="stable")
    others = np.concatenate([piece.others for piece in pieces])[order]
    weights = np.concatenate([piece.weights for piece in pieces])[order]
    factors = (weights / np.sqrt(degrees[others])).astype(np.float32)
    return RowNeighbors(
        places=torch.from_numpy(places[order]),
        rows=torch.from_numpy(others),
        factors=torch.from_numpy(factors),
    )
