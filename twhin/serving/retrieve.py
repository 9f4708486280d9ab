# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The answer to a request for the entities that score highest."""

import math

import numpy as np
import numpy.typing as npt

from twhin.bundle.bundle import Bundle
from twhin.errors import BundleError
from twhin.retrieval import relation_query
from twhin.retrieval.operators import Query
from twhin.serving import request_checks
from twhin.serving.entity_ids import read_ids, write_ids
from twhin.serving.limits import Limits
from twhin.serving.live_bundle import ServedBundle
from twhin.serving.metrics import ServerMetrics
from twhin.serving.refusal_error import invalid
from twhin.side import Side
from twhin.v1 import embedding_service_pb2 as pb

_SIDES = {
    pb.SIDE_UNSPECIFIED: Side.RHS,
    pb.SIDE_RHS: Side.RHS,
    pb.SIDE_LHS: Side.LHS,
}


def answer_retrieve(
    request: pb.RetrieveRequest,
    served: ServedBundle,
    limits: Limits,
    metrics: ServerMetrics,
) -> pb.RetrieveResponse:
    """Returns the best entities of each query.

    Raises:
      RefusalError: INVALID_ARGUMENT, NOT_FOUND for an unknown entity type or
        relation, or FAILED_PRECONDITION for an id of a shard that is not loaded.
    """
    bundle = served.bundle
    request_checks.check_entity_type(bundle, request.entity_type, "entity_type")
    side = _check_side(request, bundle)
    if not 1 <= request.k <= limits.max_k:
        raise invalid(f"k: is {request.k}; allowed: 1 to {limits.max_k}")
    if request.HasField("min_score") and math.isnan(request.min_score):
        raise invalid("min_score: is not a number; allowed: a number")
    vectors, found = _read_queries(request, served, limits, metrics)
    query = _make_query(bundle, request.relation or None, side, vectors)
    candidates = request.entity_type
    if request.relation:
        candidates = relation_query.candidate_type(bundle, request.relation, side)
    exclude = _read_exclude(request, bundle, candidates, limits)
    neighbors = served.retriever.search(
        candidates,
        query,
        request.k,
        exclude=exclude,
        min_score=request.min_score if request.HasField("min_score") else None,
        exact=request.exact,
    )
    counts = np.zeros(len(found), np.int32)
    counts[found] = neighbors.counts
    taken = np.arange(neighbors.rows.shape[1]) < neighbors.counts[:, None]
    return pb.RetrieveResponse(
        counts=counts.tolist(),
        ids=write_ids(
            bundle.ids(candidates, neighbors.rows[taken]),
            is_string=bundle.directories[candidates].is_string,
        ),
        scores=neighbors.scores[taken].astype("<f4", copy=False).tobytes(),
        version=served.version,
    )


def _check_side(request: pb.RetrieveRequest, bundle: Bundle) -> Side:
    """Returns the side of the candidates, after a look at relation and type."""
    if request.side not in _SIDES:
        raise invalid(f"side: is {request.side}; allowed: SIDE_LHS, SIDE_RHS")
    side = _SIDES[request.side]
    if request.relation:
        relation = request_checks.get_relation(bundle, request.relation)
        known = relation.lhs if side is Side.RHS else relation.rhs
        if request.entity_type != known:
            raise invalid(
                f"entity_type: is {request.entity_type!r}; allowed: {known!r}, the "
                f"other side of {request.relation!r}"
            )
    return side


def _read_queries(
    request: pb.RetrieveRequest,
    served: ServedBundle,
    limits: Limits,
    metrics: ServerMetrics,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Returns the vectors of the queries that are found, and which are."""
    bundle, entity_type = served.bundle, request.entity_type
    if request.HasField("ids") == bool(request.vectors):
        raise invalid("ids, vectors: allowed: exactly one of them")
    if request.vectors:
        vectors = request_checks.read_vectors(
            request.vectors, bundle.dim, field="vectors"
        )
        if len(vectors) > limits.max_queries:
            raise invalid(
                f"vectors: has {len(vectors)} queries; allowed: at most "
                f"{limits.max_queries}"
            )
        return vectors, np.ones(len(vectors), np.bool_)
    ids = read_ids(
        request.ids,
        is_string=bundle.directories[entity_type].is_string,
        field="ids",
        limit=limits.max_queries,
    )
    rows = request_checks.find_rows(
        served, entity_type, ids, field="ids", metrics=metrics
    )
    found = rows >= 0
    return bundle.vectors(entity_type, rows[found]), found


def _make_query(
    bundle: Bundle, relation: str | None, side: Side, vectors: npt.NDArray[np.float32]
) -> Query:
    try:
        return relation_query.make_query(bundle, relation, side, vectors)
    except BundleError as error:
        raise invalid(
            f"side: {relation!r} does not rank its {side}; allowed: the other side"
        ) from error


def _read_exclude(
    request: pb.RetrieveRequest, bundle: Bundle, entity_type: str, limits: Limits
) -> npt.NDArray[np.int64] | None:
    """Returns the rows that no query gets; -1 for ids that are unknown."""
    if not request.HasField("exclude"):
        return None
    ids = read_ids(
        request.exclude,
        is_string=bundle.directories[entity_type].is_string,
        field="exclude",
        limit=limits.max_ids,
    )
    return bundle.find(entity_type, ids)
