# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Lookups as calls to servers, and the vectors joined from their answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twhin.client import wire
from twhin.client.results import Vectors
from twhin.client.shard_map import ShardMap
from twhin.client.steps import RETRY_SECS, Call, Calls, Steps
from twhin.client.wire import VectorsView
from twhin.v1 import embedding_service_pb2 as pb

# A call has at most so many ids: large ones wait for each other, small ones
# each pay for a call.
MAX_CALL_IDS = 8192
_DTYPES = {
    "float32": pb.VECTOR_DTYPE_FLOAT32,
    "float16": pb.VECTOR_DTYPE_FLOAT16,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """Ids of one type that are asked of one server in one call.

    Attributes:
      entity_type: The entity type.
      places: The places of the ids in the request, int64 or a slice; None for
        all of them.
      ids: The ids.
    """

    entity_type: str
    places: npt.NDArray[np.int64] | slice | None
    ids: Any


def lookup_steps(
    shard_map: ShardMap, groups: Mapping[str, Any], dtype: str
) -> Steps[dict[str, Vectors]]:
    """Returns the vectors of each group, all of one version.

    Args:
      shard_map: Where ids are.
      groups: The ids by entity type, as `check_ids` gives them.
      dtype: "float32" or "float16".
    """
    num_ids = sum(map(len, groups.values()))
    if shard_map.num_servers == 1 and num_ids <= _max_call_ids(shard_map):
        # The usual case, without the work for several calls.
        request = wire.lookup_request(groups.items(), _DTYPES[dtype])
        answers = yield Calls(calls=[Call(server=0, method="Lookup", request=request)])
        views, version = wire.read_lookup_response(
            answers[0], [len(ids) for ids in groups.values()]
        )
        return {
            entity_type: Vectors(values=view.values, found=view.found, version=version)
            for entity_type, view in zip(groups, views, strict=True)
        }
    requests = list(_make_requests(shard_map, groups))
    calls = [
        Call(
            server=server,
            method="Lookup",
            request=wire.lookup_request(
                [(piece.entity_type, piece.ids) for piece in pieces], _DTYPES[dtype]
            ),
        )
        for server, pieces in requests
    ]
    answers = yield Calls(calls=calls)
    read = [_read(*pair) for pair in zip(answers, requests, strict=True)]
    while len({version for _, version in read}) > 1:
        # Some servers have switched already: the others will.
        newest = max(version for _, version in read)
        late = [i for i, (_, version) in enumerate(read) if version != newest]
        answers = yield Calls(calls=[calls[i] for i in late], delay_secs=RETRY_SECS)
        for i, answer in zip(late, answers, strict=True):
            read[i] = _read(answer, requests[i])
    return _join(groups, requests, read)


def _read(
    answer: bytes, request: tuple[int, list[_Piece]]
) -> tuple[list[VectorsView], str]:
    return wire.read_lookup_response(answer, [len(p.ids) for p in request[1]])


def _make_requests(
    shard_map: ShardMap, groups: Mapping[str, Any]
) -> Iterator[tuple[int, list[_Piece]]]:
    """Yields (server, pieces), small pieces of different types together."""
    limit = _max_call_ids(shard_map)
    waiting: dict[int, list[_Piece]] = {}
    for entity_type, ids in groups.items():
        for server, piece in _make_pieces(shard_map, entity_type, ids, limit):
            pieces = waiting.setdefault(server, [])
            size = sum(len(p.ids) for p in pieces) + len(piece.ids)
            # An entity type is at most once in a request.
            if pieces and (size > limit or pieces[-1].entity_type == entity_type):
                yield server, pieces
                pieces = waiting[server] = []
            pieces.append(piece)
    yield from waiting.items()


def _max_call_ids(shard_map: ShardMap) -> int:
    return min(MAX_CALL_IDS, shard_map.info.max_ids)


def _make_pieces(
    shard_map: ShardMap, entity_type: str, ids: Any, limit: int
) -> Iterator[tuple[int, _Piece]]:
    if shard_map.num_servers == 1 or not len(ids):
        if len(ids) <= limit:
            yield 0, _Piece(entity_type=entity_type, places=None, ids=ids)
            return
        for start in range(0, len(ids), limit):
            part = slice(start, start + limit)
            yield 0, _Piece(entity_type=entity_type, places=part, ids=ids[part])
        return
    servers = shard_map.servers(entity_type, ids)
    for server in range(shard_map.num_servers):
        mine = np.flatnonzero(servers == server)
        for start in range(0, len(mine), limit):
            places = mine[start : start + limit]
            chosen = (
                ids[places] if isinstance(ids, np.ndarray) else [ids[i] for i in places]
            )
            yield server, _Piece(entity_type=entity_type, places=places, ids=chosen)


def _join(
    groups: Mapping[str, Any],
    requests: Sequence[tuple[int, list[_Piece]]],
    read: Sequence[tuple[list[VectorsView], str]],
) -> dict[str, Vectors]:
    version = read[0][1]
    joined: dict[str, Vectors] = {}
    for (_, pieces), (views, _) in zip(requests, read, strict=True):
        for piece, view in zip(pieces, views, strict=True):
            if piece.places is None:
                joined[piece.entity_type] = Vectors(
                    values=view.values, found=view.found, version=version
                )
                continue
            vectors = joined.get(piece.entity_type)
            if vectors is None:
                num_ids, dim = len(groups[piece.entity_type]), view.values.shape[1]
                vectors = joined[piece.entity_type] = Vectors(
                    values=np.empty((num_ids, dim), view.values.dtype),
                    found=np.empty(num_ids, np.bool_),
                    version=version,
                )
            vectors.values[piece.places] = view.values
            vectors.found[piece.places] = view.found
    return {entity_type: joined[entity_type] for entity_type in groups}
