# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that several methods share."""

from typing import Any

import numpy as np
import numpy.typing as npt

from twhin.bundle.bundle import Bundle
from twhin.bundle.relation import BundleRelation
from twhin.errors import did_you_mean
from twhin.serving.entity_ids import Ids
from twhin.serving.live_bundle import ServedBundle
from twhin.serving.metrics import ServerMetrics
from twhin.serving.refusal_error import failed_precondition, invalid, not_found


def check_entity_type(bundle: Bundle, entity_type: str, field: str) -> None:
    """Returns if the bundle has the entity type.

    Args:
      bundle: The bundle.
      entity_type: The name in a request.
      field: The path of the name in the request.

    Raises:
      RefusalError: NOT_FOUND.
    """
    if entity_type not in bundle.tables:
        raise not_found(_unknown(field, "entity type", entity_type, bundle.tables))


def get_relation(bundle: Bundle, relation: str) -> BundleRelation:
    """Returns a relation of the bundle.

    Raises:
      RefusalError: NOT_FOUND.
    """
    if relation not in bundle.relations:
        raise not_found(_unknown("relation", "relation", relation, bundle.relations))
    return bundle.relations[relation]


def find_rows(
    served: ServedBundle,
    entity_type: str,
    ids: Ids,
    *,
    field: str,
    metrics: ServerMetrics,
) -> npt.NDArray[np.int64]:
    """Returns the row of each id, -1 where the table does not have it; counts both.

    Raises:
      RefusalError: FAILED_PRECONDITION: an id is in a shard that is not loaded.
    """
    rows = served.bundle.find(entity_type, ids)
    metrics.count_rows(entity_type, len(rows), int(np.count_nonzero(rows < 0)))
    if not served.is_complete:
        held = served.bundle.holds(entity_type, rows)
        num_elsewhere = int(np.count_nonzero(~held & (rows >= 0)))
        if num_elsewhere:
            shards = served.bundle.shards
            raise failed_precondition(
                f"{field}: {num_elsewhere} ids are in shards that this server does "
                f"not hold; it holds {shards.start} to {shards.stop - 1} of "
                f"{served.bundle.num_shards}"
            )
    return rows


def read_vectors(values: bytes, dim: int, *, field: str) -> npt.NDArray[np.float32]:
    """Returns vectors of a request, [n, D] float32.

    Raises:
      RefusalError: INVALID_ARGUMENT: not whole vectors, or not finite.
    """
    row_bytes = 4 * dim
    if len(values) % row_bytes:
        raise invalid(
            f"{field}: has {len(values)} bytes; allowed: a multiple of {row_bytes}"
        )
    vectors: npt.NDArray[Any] = np.frombuffer(values, "<f4").reshape(-1, dim)
    if not np.isfinite(vectors).all():
        raise invalid(f"{field}: has numbers that are not finite; allowed: finite")
    return vectors


def _unknown(field: str, kind: str, name: str, known: Any) -> str:
    return (
        f"{field}: unknown {kind} {name!r}; known: {sorted(known)}"
        f"{did_you_mean(name, known)}"
    )
