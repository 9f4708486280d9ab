# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Retrieval and scoring as calls to servers, and their answers merged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twhin.client import wire
from twhin.client.lookup_steps import MAX_CALL_IDS, lookup_steps
from twhin.client.results import Neighbors, Scores
from twhin.client.shard_map import ShardMap
from twhin.client.steps import Call, Calls, Steps, check_same_version
from twhin.v1 import embedding_service_pb2 as pb

_SIDES = {"lhs": pb.SIDE_LHS, "rhs": pb.SIDE_RHS}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveQuery:
    """What `VectorSource.retrieve` was asked for.

    Attributes:
      entity_type: The entity type of the queries.
      ids: As `check_ids` gives them, or None.
      vectors: [n, D] float32, or None.
      relation: The relation, or "".
      side: The side that is returned.
      k: The number of entities per query.
      exclude: As `check_ids` gives them, or None.
      min_score: The lowest score, or None.
      exact: Whether to use no index.
    """

    entity_type: str
    ids: Any
    vectors: npt.NDArray[np.float32] | None
    relation: str
    side: str
    k: int
    exclude: Any
    min_score: float | None
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """The entities that one server has for some queries, one after the other."""

    counts: npt.NDArray[np.int64]
    ids: npt.NDArray[Any]
    scores: npt.NDArray[np.float32]


def retrieve_steps(shard_map: ShardMap, query: RetrieveQuery) -> Steps[Neighbors]:
    """Returns the entities that score highest over all servers.

    Raises:
      MixedVersionsError: The servers answered from different versions.
    """
    ids, vectors, found, versions = query.ids, query.vectors, None, []
    if ids is not None and shard_map.num_servers > 1:
        # Only the server that holds an id knows its vector.
        looked_up = yield from lookup_steps(
            shard_map, {query.entity_type: ids}, "float32"
        )
        known = looked_up[query.entity_type]
        found, versions = known.found, [known.version]
        ids, vectors = None, known.values[found]
    queries = ids if vectors is None else vectors
    bounds = range(0, len(queries), shard_map.info.max_queries)
    calls = [
        Call(
            server=server,
            method="Retrieve",
            request=_request(query, ids, vectors, slice(start, start + bounds.step)),
        )
        for start in bounds
        for server in shard_map.shard_order
    ]
    answers = yield Calls(calls=calls)
    responses = [pb.RetrieveResponse.FromString(answer) for answer in answers]
    versions += [response.version for response in responses]
    version = check_same_version(versions) if versions else shard_map.info.version
    step = shard_map.num_servers
    parts = [
        _merge([_read(r) for r in responses[i : i + step]], query.k)
        for i in range(0, len(responses), step)
    ]
    return _join(parts, found, version)


def score_steps(
    shard_map: ShardMap, relation: str, lhs: Any, rhs: Any
) -> Steps[Scores]:
    """Returns the scores of the edges from `lhs`, one id, to each of `rhs`.

    Raises:
      MixedVersionsError: The servers answered from different versions.
    """
    values = np.full(len(rhs), np.nan, np.float32)
    request, versions = pb.ScoreRequest(relation=relation), []
    servers = np.zeros(len(rhs), np.int64)
    if shard_map.num_servers > 1 and relation in shard_map.info.relations:
        lhs_type, rhs_type = shard_map.info.relations[relation]
        looked_up = yield from lookup_steps(shard_map, {lhs_type: lhs}, "float32")
        known = looked_up[lhs_type]
        if not known.found[0]:
            return Scores(values=values, version=known.version)
        request.lhs_vector, versions = known.values.tobytes(), [known.version]
        servers = shard_map.servers(rhs_type, rhs)
    else:
        request.lhs.MergeFromString(wire.entity_ids(lhs))
    limit = min(MAX_CALL_IDS, shard_map.info.max_ids)
    calls, places = [], []
    for server in range(shard_map.num_servers):
        mine = np.flatnonzero(servers == server)
        for start in range(0, len(mine) or int(server == 0), limit):
            part = mine[start : start + limit]
            request.rhs.ParseFromString(wire.entity_ids(_take(rhs, part)))
            call = Call(
                server=server, method="Score", request=request.SerializeToString()
            )
            calls.append(call)
            places.append(part)
    answers = yield Calls(calls=calls)
    for answer, part in zip(answers, places, strict=True):
        response = pb.ScoreResponse.FromString(answer)
        values[part] = np.frombuffer(response.scores, "<f4")
        versions.append(response.version)
    return Scores(values=values, version=check_same_version(versions))


def _take(ids: Any, places: npt.NDArray[np.int64]) -> Any:
    if isinstance(ids, np.ndarray):
        return ids.take(places)
    return [ids[i] for i in places]


def _request(query: RetrieveQuery, ids: Any, vectors: Any, part: slice) -> bytes:
    request = pb.RetrieveRequest(
        entity_type=query.entity_type,
        relation=query.relation,
        side=_SIDES[query.side],
        k=query.k,
        exact=query.exact,
    )
    if vectors is None:
        request.ids.ParseFromString(wire.entity_ids(ids[part]))
        request.ids.SetInParent()
    else:
        request.vectors = vectors[part].astype("<f4", copy=False).tobytes()
    if query.exclude is not None:
        request.exclude.ParseFromString(wire.entity_ids(query.exclude))
        request.exclude.SetInParent()
    if query.min_score is not None:
        request.min_score = query.min_score
    return request.SerializeToString()


def _read(response: pb.RetrieveResponse) -> _Answer:
    ids: npt.NDArray[Any]
    if response.ids.string_ids:
        ids = np.array(response.ids.string_ids, dtype=object)
    else:
        ids = np.array(response.ids.int_ids, dtype=np.uint64).view(np.int64)
    return _Answer(
        counts=np.array(response.counts, dtype=np.int64),
        ids=ids,
        scores=np.frombuffer(response.scores, "<f4"),
    )


def _merge(answers: Sequence[_Answer], k: int) -> _Answer:
    """Returns the best k of each query; of equal ones those of the first server."""
    if len(answers) == 1:
        return answers[0]
    num_queries = len(answers[0].counts)
    queries = np.concatenate([np.arange(num_queries).repeat(a.counts) for a in answers])
    scores = np.concatenate([answer.scores for answer in answers])
    ids = _concatenate([answer.ids for answer in answers])
    order = np.lexsort((-scores, queries))
    totals = np.bincount(queries, minlength=num_queries)
    starts = totals.cumsum() - totals
    kept = order[np.arange(len(order)) - starts.repeat(totals) < k]
    return _Answer(
        counts=np.minimum(totals, k),
        ids=ids[kept],
        scores=scores[kept],
    )


def _join(
    parts: Sequence[_Answer], found: npt.NDArray[np.bool_] | None, version: str
) -> Neighbors:
    counts = _concatenate([part.counts for part in parts])
    if found is not None:
        all_counts = np.zeros(len(found), np.int64)
        all_counts[found] = counts
        counts = all_counts
    return Neighbors(
        ids=_concatenate([part.ids for part in parts]),
        scores=_concatenate([part.scores for part in parts]).astype(
            np.float32, copy=False
        ),
        offsets=np.concatenate(([0], counts.cumsum())).astype(np.int64),
        version=version,
    )


def _concatenate(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Joins arrays without the empty ones, whose type says nothing."""
    full = [part for part in parts if len(part)]
    return np.concatenate(full) if full else np.empty(0, np.int64)
