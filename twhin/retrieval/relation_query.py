# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""From entities through a relation to what candidates are compared with."""

import dataclasses

import numpy as np

from twhin import scoring
from twhin.bundle.bundle import Bundle
from twhin.bundle.id_hash import Int64Array
from twhin.errors import BundleError
from twhin.retrieval import comparators, operators
from twhin.retrieval.operators import Floats, Query
from twhin.side import Side


def known_type(bundle: Bundle, relation: str, side: Side) -> str:
    """Returns the entity type of queries when candidates stand on `side`.

    Raises:
      KeyError: The bundle has no such relation.
    """
    found = bundle.relations[relation]
    return found.lhs if side is Side.RHS else found.rhs


def candidate_type(bundle: Bundle, relation: str, side: Side) -> str:
    """Returns the entity type of candidates that stand on `side`.

    Raises:
      KeyError: The bundle has no such relation.
    """
    found = bundle.relations[relation]
    return found.rhs if side is Side.RHS else found.lhs


def make_query(
    bundle: Bundle, relation: str | None, side: Side, vectors: Floats
) -> Query:
    """Returns what candidates for a side are compared with.

    Args:
      bundle: The bundle.
      relation: The name of the relation; None for the vectors themselves.
      side: The side that candidates stand on.
      vectors: float32 [n, D], embeddings of the other side.

    Raises:
      KeyError: The bundle has no such relation.
      BundleError: The relation cannot rank the lhs.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    if relation is None:
        return Query(vectors=vectors)
    found = bundle.relations[relation]
    parameters = found.parameters if side is Side.RHS else found.reciprocal_parameters
    if parameters is not None:
        related = operators.apply(found.operator, vectors, parameters)
        return Query(vectors=related, is_related=True)
    if not scoring.has_transpose(found.operator, bundle.comparator):
        raise BundleError(
            f"relation {relation!r}: cannot rank the lhs: {found.operator} compared by"
            f" {bundle.comparator} has no transpose; allowed: the rhs"
        )
    query = operators.transpose(
        found.operator, vectors, found.parameters, bundle.comparator
    )
    return dataclasses.replace(query, is_related=True)


def score_rows(
    bundle: Bundle, query: Query, entity_type: str, rows: Int64Array
) -> Floats:
    """Returns the scores of rows for a single query.

    Args:
      bundle: The bundle.
      query: Of one vector.
      entity_type: The type of the candidates.
      rows: int64 [m].

    Returns:
      float32 [m]; NaN where a row is unknown or in no loaded shard.
    """
    candidates = bundle.vectors(entity_type, rows)
    scores = comparators.elementwise(
        bundle.comparator, query.vectors, candidates[None]
    )[0]
    if query.bias is not None:
        scores = scores + query.bias[0]
    return np.where(bundle.holds(entity_type, rows), scores, np.float32(np.nan))
