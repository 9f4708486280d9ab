# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Input that no client of ours sends, for tests: damaged and random bytes."""

import contextlib
import random
import socket
from collections import Counter
from typing import Any

import grpc

from twhin.testing.served_bundle import user_id
from twhin.v1 import embedding_service_pb2 as pb

# How an HTTP/2 connection begins.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# What may come back; a damaged message may still be a request.
PROPER_STATUSES = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "UNIMPLEMENTED",
    "RESOURCE_EXHAUSTED",
}
_USERS = [user_id(i) for i in range(6)]
_TWEETS = [f"t{i}" for i in range(5)]


def connect(port: int) -> socket.socket:
    """Opens a TCP connection."""
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def send_raw(port: int, rng: random.Random, count: int) -> None:
    """Opens connections that send what is no HTTP/2, or only its beginning."""
    for number in range(count):
        head = PREFACE if number % 2 else b""
        with connect(port) as connection, contextlib.suppress(OSError):
            connection.sendall(head + rng.randbytes(rng.randrange(1, 300)))


def send_malformed(
    channel: grpc.Channel, rng: random.Random, count: int
) -> Counter[str]:
    """Calls methods with damaged and with random messages; returns the statuses."""
    methods: list[tuple[Any, Any]] = [
        (channel.unary_unary(f"/twhin.v1.EmbeddingService/{name}", None, None), valid)
        for name, valid in _valid_requests().items()
    ]
    statuses: Counter[str] = Counter()
    for start in range(0, count, 20):
        futures = []
        for number in range(start, start + 20):
            method, valid = methods[number % len(methods)]
            message = rng.randbytes(rng.randrange(100))
            if number % 3 == 0:
                damaged = bytearray(valid)
                for _ in range(rng.randrange(1, 4)):
                    damaged[rng.randrange(len(damaged))] = rng.randrange(256)
                message = bytes(damaged)
            elif number % 3 == 1:
                message = valid[: rng.randrange(len(valid))]
            futures.append(method.future(message, timeout=10))
        for future in futures:
            statuses[future.code().name] += 1
    return statuses


def _valid_requests() -> dict[str, bytes]:
    users = pb.EntityIds(int_ids=_USERS)
    tweets = pb.EntityIds(string_ids=_TWEETS)
    group = pb.LookupGroup(entity_type="user", ids=users)
    lookup = pb.LookupRequest(groups=[group], dtype=pb.VECTOR_DTYPE_FLOAT16)
    retrieve = pb.RetrieveRequest(
        entity_type="user", ids=users, relation="likes", k=3, exclude=tweets
    )
    score = pb.ScoreRequest(
        relation="likes", lhs=pb.EntityIds(int_ids=[10]), rhs=tweets
    )
    return {
        "Lookup": lookup.SerializeToString(),
        "Retrieve": retrieve.SerializeToString(),
        "Score": score.SerializeToString(),
        "Absent": b"absent",
    }
