# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Requests of a remote source: arguments checked, then turned into steps."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import grpc
import numpy as np
import numpy.typing as npt

from twhin.client.bundle_info import BundleInfo, TableInfo
from twhin.client.lookup_steps import lookup_steps
from twhin.client.request_error import RequestError
from twhin.client.results import Neighbors, Scores, Vectors
from twhin.client.retrieve_steps import RetrieveQuery, retrieve_steps, score_steps
from twhin.client.shard_map import ShardMap
from twhin.client.source import Dtype, EntityIds, SideName, check_ids
from twhin.client.steps import Steps
from twhin.errors import did_you_mean

T = TypeVar("T")
# Steps are made anew where they have to be begun again.
MakeSteps: TypeAlias = Callable[[ShardMap], Steps[T]]


def lookup(
    groups: Mapping[str, EntityIds], dtype: Dtype
) -> MakeSteps[dict[str, Vectors]]:
    """Returns the steps of `VectorSource.lookup_many`."""
    if not groups:
        raise ValueError("groups: is empty; allowed: at least 1")
    # Not a nested function: the types of one would be evaluated each time.
    return functools.partial(_make_lookup, groups, dtype)


def retrieve(
    entity_type: str,
    ids: EntityIds | None,
    *,
    vectors: npt.NDArray[np.floating[Any]] | None,
    relation: str | None,
    side: SideName,
    k: int,
    exclude: EntityIds | None,
    min_score: float | None,
    exact: bool,
) -> MakeSteps[Neighbors]:
    """Returns the steps of `VectorSource.retrieve`."""
    if (ids is None) == (vectors is None):
        raise ValueError("ids, vectors: allowed: exactly one of them")

    def make(shard_map: ShardMap) -> Steps[Neighbors]:
        info = shard_map.info
        returned = entity_type
        if relation is not None:
            returned = get_relation(info, relation)[side == "rhs"]
        query = RetrieveQuery(
            entity_type=entity_type,
            ids=None if ids is None else check(info, entity_type, ids, "ids"),
            vectors=None
            if vectors is None
            else np.ascontiguousarray(vectors, dtype=np.float32),
            relation=relation or "",
            side=side,
            k=k,
            exclude=None
            if exclude is None
            else check(info, returned, exclude, "exclude"),
            min_score=min_score,
            exact=exact,
        )
        return retrieve_steps(shard_map, query)

    return make


def score(relation: str, lhs: int | str, rhs: EntityIds) -> MakeSteps[Scores]:
    """Returns the steps of `VectorSource.score`."""

    def make(shard_map: ShardMap) -> Steps[Scores]:
        info = shard_map.info
        lhs_type, rhs_type = get_relation(info, relation)
        lhs_ids: EntityIds = [lhs] if isinstance(lhs, str) else [int(lhs)]
        return score_steps(
            shard_map,
            relation,
            check(info, lhs_type, lhs_ids, "lhs"),
            check(info, rhs_type, rhs, "rhs"),
        )

    return make


def _make_lookup(
    groups: Mapping[str, EntityIds], dtype: Dtype, shard_map: ShardMap
) -> Steps[dict[str, Vectors]]:
    checked = {
        entity_type: check(shard_map.info, entity_type, ids, "ids")
        for entity_type, ids in groups.items()
    }
    return lookup_steps(shard_map, checked, dtype)


def get_table(info: BundleInfo, entity_type: str) -> TableInfo:
    """Returns the table of an entity type.

    Raises:
      RequestError: NOT_FOUND.
    """
    if entity_type not in info.tables:
        raise not_found("entity type", entity_type, info.tables)
    return info.tables[entity_type]


def get_relation(info: BundleInfo, relation: str) -> tuple[str, str]:
    """Returns the entity types (lhs, rhs) of a relation.

    Raises:
      RequestError: NOT_FOUND.
    """
    if relation not in info.relations:
        raise not_found("relation", relation, info.relations)
    return info.relations[relation]


def not_found(kind: str, name: str, known: Mapping[str, Any]) -> RequestError:
    """Returns the error of a name that the bundle does not have."""
    return RequestError(
        grpc.StatusCode.NOT_FOUND,
        f"unknown {kind} {name!r}; known: {sorted(known)}{did_you_mean(name, known)}",
    )


def check(info: BundleInfo, entity_type: str, ids: EntityIds, where: str) -> Any:
    """Returns ids of an entity type as `check_ids` does.

    Raises:
      RequestError: NOT_FOUND.
      TypeError: The ids are of the other type.
    """
    is_string = get_table(info, entity_type).is_string
    return check_ids(ids, is_string=is_string, where=f"{where} of {entity_type!r}")
