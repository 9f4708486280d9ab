# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The answer to a request for the scores of edges."""

import numpy as np
import numpy.typing as npt

from twhin.retrieval import relation_query
from twhin.serving import request_checks
from twhin.serving.entity_ids import read_ids
from twhin.serving.limits import Limits
from twhin.serving.live_bundle import ServedBundle
from twhin.serving.metrics import ServerMetrics
from twhin.serving.refusal_error import invalid
from twhin.side import Side
from twhin.v1 import embedding_service_pb2 as pb


def answer_score(
    request: pb.ScoreRequest,
    served: ServedBundle,
    limits: Limits,
    metrics: ServerMetrics,
) -> pb.ScoreResponse:
    """Returns the score of the edge from the lhs entity to each rhs entity.

    Raises:
      RefusalError: INVALID_ARGUMENT, NOT_FOUND for an unknown relation, or
        FAILED_PRECONDITION for an id of a shard that is not loaded.
    """
    bundle = served.bundle
    relation = request_checks.get_relation(bundle, request.relation)
    lhs = _read_lhs(request, served, relation.lhs, metrics)
    ids = read_ids(
        request.rhs,
        is_string=bundle.directories[relation.rhs].is_string,
        field="rhs",
        limit=limits.max_ids,
    )
    rows = request_checks.find_rows(
        served, relation.rhs, ids, field="rhs", metrics=metrics
    )
    if len(lhs):
        query = relation_query.make_query(bundle, relation.name, Side.RHS, lhs)
        scores = relation_query.score_rows(bundle, query, relation.rhs, rows)
    else:
        scores = np.full(len(rows), np.nan, np.float32)
    return pb.ScoreResponse(
        scores=scores.astype("<f4", copy=False).tobytes(), version=served.version
    )


def _read_lhs(
    request: pb.ScoreRequest,
    served: ServedBundle,
    entity_type: str,
    metrics: ServerMetrics,
) -> npt.NDArray[np.float32]:
    """Returns the lhs embedding, [1, D], or [0, D] for an unknown id."""
    bundle = served.bundle
    if request.HasField("lhs") == bool(request.lhs_vector):
        raise invalid("lhs, lhs_vector: allowed: exactly one of them")
    if request.lhs_vector:
        vectors = request_checks.read_vectors(
            request.lhs_vector, bundle.dim, field="lhs_vector"
        )
        if len(vectors) != 1:
            raise invalid(f"lhs_vector: has {len(vectors)} vectors; allowed: 1")
        return vectors
    ids = read_ids(
        request.lhs,
        is_string=bundle.directories[entity_type].is_string,
        field="lhs",
        limit=1,
    )
    if len(ids) != 1:
        raise invalid("lhs: has no id; allowed: exactly 1")
    rows = request_checks.find_rows(
        served, entity_type, ids, field="lhs", metrics=metrics
    )
    return bundle.vectors(entity_type, rows[rows >= 0])
