# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A client process of the serving benchmark: one request after the other.

    python tools/bench/serve_client.py SPEC

SPEC is JSON: kind, target, batch, num_rows, dtype; for retrieval root, relation,
batch, and target unless it is to be done in the process. Then each line "SECS RATE" on
standard input runs for SECS seconds, as fast as it can where RATE is 0, else with
RATE requests a second, and prints {"count", "secs", "p50", "p99"} as JSON.
Latencies count from the time when a request was due.
"""

import asyncio
import http.client
import importlib
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.bench.serve_bundle import ENTITY_TYPE
from tools.bench.serve_peers import redis_key
from twhin import allocator
from twhin.bundle.bundle import Bundle
from twhin.client.async_source import AsyncSource
from twhin.client.local_source import LocalSource
from twhin.client.remote_source import RemoteSource
from twhin.retrieval.relation_query import make_query
from twhin.retrieval.retriever import Retriever
from twhin.side import Side

# So many different requests, in turn: more rows than caches hold.
_NUM_REQUESTS = 512
# The number of entities that are retrieved.
_K = 100
# The most ids, and requests, that travel together.
_MAX_TOGETHER_IDS = 1024
_MAX_TOGETHER = 16

Request = Callable[[int], Any]


def make_request(spec: dict[str, Any]) -> Request:
    """Returns a function that makes the request of a number."""
    if "relation" in spec:
        return _retrieve_request(spec)
    rng = np.random.default_rng()
    ids = rng.integers(0, spec["num_rows"], (_NUM_REQUESTS, spec["batch"]))
    kind, target, dtype = spec["kind"], spec["target"], spec.get("dtype", "float32")
    if kind == "redis":
        return _redis_request(target, ids)
    if kind == "redis_ahead":
        return _redis_ahead_request(target, ids)
    if kind in ("aio_unary", "aio_stream"):
        return _aio_request(kind, target, ids, dtype)
    if kind == "http_binary":
        return _http_request(target, "/binary", [row.tobytes() for row in ids], False)
    if kind == "http_json":
        bodies = [json.dumps(row.tolist()).encode() for row in ids]
        return _http_request(target, "/json", bodies, True)
    allocator.keep_large_buffers()
    if kind == "local":
        local = LocalSource(target)
        local.bundle.warm(lock=False)
        return lambda n: local.lookup(ENTITY_TYPE, ids[n], dtype=dtype)
    source = RemoteSource(target)
    if kind == "unary":
        return lambda n: source.lookup(ENTITY_TYPE, ids[n], dtype=dtype)
    if kind == "stream":
        stream = source.open_stream()
        return lambda n: stream.lookup(ENTITY_TYPE, ids[n], dtype=dtype)
    if kind == "stream_ahead":
        batches = (ids[n % _NUM_REQUESTS] for n in itertools.count())
        found = source.open_stream().lookup_each(ENTITY_TYPE, batches, dtype=dtype)
        return lambda n: next(found)
    raise ValueError(f"kind: is {kind!r}")


def _retrieve_request(spec: dict[str, Any]) -> Request:
    """Retrieves for lhs entities of `relation` in the bundle at `root`.

    From the server `target`, or in this process where there is none.
    """
    bundle, relation = Bundle.open(Path(spec["root"])), spec["relation"]
    found = bundle.relations[relation]
    rows = np.random.default_rng().integers(
        bundle.tables[found.lhs].num_rows, size=(_NUM_REQUESTS, spec["batch"])
    )
    if "target" in spec:
        source = RemoteSource(spec["target"])
        ids = [bundle.ids(found.lhs, part) for part in rows]
        return lambda n: source.retrieve(found.lhs, ids[n], relation=relation, k=_K)
    retriever = Retriever(bundle)

    def search(number: int) -> Any:
        vectors = bundle.vectors(found.lhs, rows[number])
        query = make_query(bundle, relation, Side.RHS, vectors)
        return retriever.search(found.rhs, query, _K)

    return search


def _redis_request(port: int, ids: npt.NDArray[np.int64]) -> Request:
    redis: Any = importlib.import_module("redis")
    client = redis.Redis(port=port)
    missing = bytes(len(client.get(redis_key(0))))

    def request(number: int) -> Any:
        return _join(client.mget(_redis_keys(ids[number])), missing)

    return request


def _redis_ahead_request(port: int, ids: npt.NDArray[np.int64]) -> Request:
    """Sends as many requests together as `lookup_each` does."""
    redis: Any = importlib.import_module("redis")
    client = redis.Redis(port=port)
    missing = bytes(len(client.get(redis_key(0))))
    num_together = min(max(_MAX_TOGETHER_IDS // ids.shape[1], 1), _MAX_TOGETHER)
    answers: list[Any] = []

    def request(number: int) -> Any:
        if not answers:
            with client.pipeline(transaction=False) as pipeline:
                for ahead in range(number, number + num_together):
                    pipeline.mget(_redis_keys(ids[ahead % _NUM_REQUESTS]))
                answers.extend(reversed(pipeline.execute()))
        return _join(answers.pop(), missing)

    return request


def _redis_keys(ids: npt.NDArray[np.int64]) -> list[bytes]:
    return [redis_key(i) for i in ids.tolist()]


def _join(found: list[bytes | None], missing: bytes) -> npt.NDArray[np.float32]:
    values = b"".join(missing if value is None else value for value in found)
    return np.frombuffer(values, np.float32).reshape(len(found), -1)


def _aio_request(
    kind: str, target: str, ids: npt.NDArray[np.int64], dtype: Any
) -> Request:
    allocator.keep_large_buffers()
    loop = asyncio.new_event_loop()

    async def connect() -> Any:
        source = AsyncSource(target)
        return source if kind == "aio_unary" else await source.open_stream()

    source = loop.run_until_complete(connect())

    def request(number: int) -> Any:
        return loop.run_until_complete(
            source.lookup(ENTITY_TYPE, ids[number], dtype=dtype)
        )

    return request


def _http_request(port: int, path: str, bodies: list[bytes], is_json: bool) -> Request:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    loads: Any = importlib.import_module("orjson").loads if is_json else None

    def request(number: int) -> Any:
        connection.request("POST", path, bodies[number])
        answer = connection.getresponse().read()
        if loads is not None:
            return np.array(loads(answer), np.float32)
        return np.frombuffer(answer, np.float32)

    return request


def run(request: Request, secs: float, rate: float) -> dict[str, float]:
    """Makes requests and returns how many and how long they took."""
    latencies = []
    start = time.perf_counter()
    due = start
    number = 0
    while due < start + secs:
        if rate:
            wait = due - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
        request(number % _NUM_REQUESTS)
        now = time.perf_counter()
        latencies.append(now - due)
        number += 1
        due = start + number / rate if rate else now
    return {
        "count": number,
        "secs": time.perf_counter() - start,
        "p50": float(np.percentile(latencies, 50)),
        "p99": float(np.percentile(latencies, 99)),
    }


def main(argv: list[str]) -> None:
    """Serves the lines of standard input."""
    request = make_request(json.loads(argv[1]))
    for number in range(20):
        request(number)
    print("ready", flush=True)
    for line in sys.stdin:
        secs, rate = map(float, line.split())
        print(json.dumps(run(request, secs, rate)), flush=True)


if __name__ == "__main__":
    main(sys.argv)
