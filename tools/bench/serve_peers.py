# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What people use instead of this server: Redis, and an HTTP endpoint.

Neither is a dependency of the project: one that is not installed is left out.
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twhin.bundle.bundle import Bundle

_START_SECS = 60.0
# An endpoint as people write it: ids in, vectors out, once as raw bytes and once
# as JSON by orjson. Text, since its libraries are not the project's.
_APP = """
import json, os, sys
from pathlib import Path
import numpy as np, orjson
from fastapi import FastAPI, Request, Response
from twhin.bundle.bundle import Bundle
bundle = Bundle.open(Path(os.environ["BUNDLE"]))
entity_type = bundle.entity_types[0]
app = FastAPI()
def find(ids):
    return bundle.vectors(entity_type, bundle.find(entity_type, ids))
@app.post("/binary")
async def binary(request: Request):
    ids = np.frombuffer(await request.body(), np.int64)
    return Response(find(ids).tobytes(), media_type="application/octet-stream")
@app.post("/json")
async def as_json(request: Request):
    ids = np.array(orjson.loads(await request.body()), np.int64)
    vectors = orjson.dumps(find(ids), option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(vectors, media_type="application/json")
import uvicorn
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", loop="uvloop", http="httptools")
"""


def missing_peers() -> dict[str, str]:
    """Returns the peers that cannot run, and what each lacks."""
    lacking = {
        "redis": [] if shutil.which("redis-server") else ["redis-server"],
        "fastapi": [],
    }
    for peer, modules in {
        "redis": ("redis", "hiredis"),
        "fastapi": ("fastapi", "uvicorn", "uvloop", "httptools", "orjson"),
    }.items():
        lacking[peer] += [m for m in modules if importlib.util.find_spec(m) is None]
    return {peer: ", ".join(names) for peer, names in lacking.items() if names}


@contextmanager
def run_redis(root: Path, folder: Path) -> Iterator[int]:
    """Serves the rows of a bundle's first table from Redis; yields its port."""
    port = _free_port()
    process = subprocess.Popen(
        [
            *("redis-server", "--port", str(port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", str(folder)),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        _fill_redis(port, Bundle.open(root))
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@contextmanager
def run_fastapi(root: Path) -> Iterator[int]:
    """Serves the rows of a bundle's first table over HTTP; yields the port."""
    port = _free_port()
    environment = {
        **os.environ,
        "BUNDLE": str(root),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    process = subprocess.Popen([sys.executable, "-c", _APP, str(port)], env=environment)
    try:
        _wait_for(port)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def redis_key(entity_id: int) -> bytes:
    """Returns the key of an id."""
    return b"%d" % entity_id


def _fill_redis(port: int, bundle: Bundle) -> None:
    redis: Any = importlib.import_module("redis")
    client = redis.Redis(port=port)
    entity_type = bundle.entity_types[0]
    for start, block in bundle.tables[entity_type].blocks(10_000):
        ids = bundle.ids(entity_type, range(start, start + len(block))).tolist()
        rows = block.view(f"V{block.shape[1] * 4}")[:, 0].tolist()
        client.mset(dict(zip(map(redis_key, ids), rows, strict=True)))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _START_SECS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
