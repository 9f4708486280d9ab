# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Vectors of entities that were not trained, as a parquet table.

Their edges come from a parquet file, whose columns are

    id         int64 or string: the entity without a vector
    relation   string
    other      the id at the other end, of the type that the relation has there
    side       "lhs" or "rhs", where `id` stands; needed only where both ends of
               the relation are of the entity's type
    weight     optional, at least 0

The table has the columns of `feature_table`; entities that touched nothing known
are left out.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twhin.bundle.bundle import Bundle
from twhin.errors import DataError
from twhin.export import feature_table
from twhin.retrieval.relation_query import known_type
from twhin.retrieval.unseen import UnseenEdges, average
from twhin.side import Side


def write_unseen_table(
    bundle: Bundle,
    entity_type: str,
    edges_file: Path,
    path: Path,
    *,
    event_time: datetime,
) -> int:
    """Writes the vectors of the entities of an edge file; returns how many.

    Args:
      bundle: With all shards.
      entity_type: The type of the entities without a vector.
      edges_file: Their edges.
      path: The file to write.
      event_time: The time that the vectors are of.

    Raises:
      DataError: The file cannot be used.
      BundleError: A relation cannot rank the lhs.
    """
    edges = _read(edges_file)
    encoded = edges["id"].combine_chunks().dictionary_encode()
    ids = encoded.dictionary
    edges = edges.append_column("unseen", encoded.indices)
    groups = [
        _group(bundle, entity_type, edges, relation, side, edges_file)
        for relation, side in _kinds(bundle, entity_type, edges, edges_file)
    ]
    found = average(bundle, len(ids), groups)
    has = found.weights > 0
    feature_table.write_vectors(
        path,
        entity_type,
        ids.type,
        [(ids.filter(pa.array(has)), found.values[has])],
        version=bundle.version,
        event_time=event_time,
    )
    return int(has.sum())


def _read(path: Path) -> pa.Table:
    try:
        edges = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    for name in ("id", "relation", "other"):
        if name not in edges.column_names or edges[name].null_count:
            raise DataError(
                f"{path}: no column {name!r} without nulls; known: {edges.column_names}"
            )
    return edges


def _kinds(
    bundle: Bundle, entity_type: str, edges: pa.Table, path: Path
) -> Sequence[tuple[str, Side]]:
    """Returns the relations and sides that occur."""
    has_side = "side" in edges.column_names
    keys = ["relation", "side"] if has_side else ["relation"]
    found = []
    for row in edges.select(keys).group_by(keys).aggregate([]).to_pylist():
        relation = bundle.relations.get(row["relation"])
        if relation is None:
            raise DataError(
                f"{path}: unknown relation {row['relation']!r}; known:"
                f" {sorted(bundle.relations)}"
            )
        sides = [
            side
            for side, type_ in ((Side.LHS, relation.lhs), (Side.RHS, relation.rhs))
            if type_ == entity_type and row.get("side") in (None, str(side))
        ]
        if len(sides) != 1:
            raise DataError(
                f"{path}: {entity_type!r} in {row['relation']!r}, which joins"
                f" {relation.lhs!r} to {relation.rhs!r}, with the side"
                f" {row.get('side')!r}; allowed: a side where the entity type is"
            )
        found.append((row["relation"], sides[0]))
    return sorted(set(found))


def _group(
    bundle: Bundle,
    entity_type: str,
    edges: pa.Table,
    relation: str,
    side: Side,
    path: Path,
) -> UnseenEdges:
    chosen = pc.equal(edges["relation"], relation)
    both = bundle.relations[relation]
    if "side" in edges.column_names and both.lhs == both.rhs:
        chosen = pc.and_(chosen, pc.equal(edges["side"], str(side)))
    part = edges.filter(chosen)
    known = known_type(bundle, relation, side)
    is_string = bundle.directories[known].is_string
    fits = pa.types.is_string if is_string else pa.types.is_integer
    if not fits(part["other"].type):
        raise DataError(
            f"{path}: other: is {part['other'].type}; allowed: the ids of {known!r}"
        )
    others = part["other"].to_pylist() if is_string else part["other"].to_numpy()
    weights = None
    if "weight" in part.column_names:
        weights = part["weight"].to_numpy().astype(np.float32)
    return UnseenEdges(
        relation=relation,
        entity_type=known,
        side=side,
        unseen=part["unseen"].to_numpy().astype(np.int64),
        rows=bundle.find(known, others),
        weights=weights,
    )
