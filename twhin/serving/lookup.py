# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The answer to a request for vectors."""

from typing import Any

import numpy as np

from twhin.serving import request_checks, wire
from twhin.serving.entity_ids import read_ids
from twhin.serving.limits import Limits
from twhin.serving.live_bundle import ServedBundle
from twhin.serving.metrics import ServerMetrics
from twhin.serving.refusal_error import failed_precondition, invalid
from twhin.v1 import embedding_service_pb2 as pb

_DTYPES: dict[int, tuple[np.dtype[Any], int]] = {
    pb.VECTOR_DTYPE_UNSPECIFIED: (np.dtype("<f4"), pb.VECTOR_DTYPE_FLOAT32),
    pb.VECTOR_DTYPE_FLOAT32: (np.dtype("<f4"), pb.VECTOR_DTYPE_FLOAT32),
    pb.VECTOR_DTYPE_FLOAT16: (np.dtype("<f2"), pb.VECTOR_DTYPE_FLOAT16),
}


def answer_lookup(
    request: pb.LookupRequest,
    served: ServedBundle,
    limits: Limits,
    metrics: ServerMetrics,
) -> bytes:
    """Returns a serialized `LookupResponse`.

    Raises:
      RefusalError: INVALID_ARGUMENT, NOT_FOUND for an unknown entity type, or
        FAILED_PRECONDITION where the server has another version, or does not
        hold the shard of an id.
    """
    if request.version and request.version != served.version:
        raise failed_precondition(
            f"version: is {request.version!r}; allowed: {served.version!r}, the one "
            "being served"
        )
    if request.dtype not in _DTYPES:
        raise invalid(
            f"dtype: is {request.dtype}; allowed: VECTOR_DTYPE_FLOAT32, "
            "VECTOR_DTYPE_FLOAT16"
        )
    dtype, dtype_value = _DTYPES[request.dtype]
    if not request.groups:
        raise invalid("groups: is empty; allowed: at least 1")
    parts = []
    seen: set[str] = set()
    num_ids_left = limits.max_ids
    for index, group in enumerate(request.groups):
        where = f"groups[{index}]"
        entity_type = group.entity_type
        request_checks.check_entity_type(
            served.bundle, entity_type, f"{where}.entity_type"
        )
        if entity_type in seen:
            raise invalid(
                f"{where}.entity_type: {entity_type!r} is repeated; allowed: once"
            )
        seen.add(entity_type)
        ids = read_ids(
            group.ids,
            is_string=served.bundle.directories[entity_type].is_string,
            field=f"{where}.ids",
            limit=num_ids_left,
        )
        num_ids_left -= len(ids)
        rows = request_checks.find_rows(
            served, entity_type, ids, field=f"{where}.ids", metrics=metrics
        )
        values = served.bundle.vectors(entity_type, rows, dtype=dtype)
        parts.append(wire.vectors_parts(values, dtype_value, rows >= 0))
    return wire.lookup_response(parts, served.version)
