# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Measures a server, its client and what people use instead, in one run.

    python tools/bench/serve.py --work=/tmp/bench

Cases take turns in short slices, since the speed of a machine moves; what counts
are the ratios. Redis and FastAPI take part where they are installed: redis-server
on the path, and redis, hiredis, fastapi, uvicorn, uvloop, httptools and orjson in
a folder that --peers names. Prints one JSON object; --parts chooses what to
measure, --small makes everything a hundredth. All parts together take about six
minutes on two cores that nothing else uses.
"""

import contextlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import app, flags

from tools.bench import serve_bundle, serve_faults, serve_peers
from tools.bench.serve_load import ClientProcesses, alternate
from twhin.bundle.bundle import Bundle
from twhin.bundle.row_format import RowFormat
from twhin.testing.served_bundle import write_bundle
from twhin.testing.server_process import ServerForTest

_PARTS = (
    "throughput", "latency", "retrieve", "start", "reload", "overload", "kill",
    "malformed", "shards",
)  # fmt: skip
_WORK = flags.DEFINE_string("work", None, "A folder for all files.", required=True)
_PEERS = flags.DEFINE_string("peers", None, "The folder of the peers' libraries.")
_CHOSEN = flags.DEFINE_list("parts", list(_PARTS), "What to measure.")
_SMALL = flags.DEFINE_boolean("small", False, "A hundredth of everything.")
_TRAINED = flags.DEFINE_string(
    "trained", None, "A trained bundle to retrieve from; None generates vectors."
)
_RELATION = flags.DEFINE_string(
    "relation", serve_bundle.RELATION, "The relation through which to retrieve."
)
_NUM_CLIENTS = flags.DEFINE_integer("num_clients", 1, "Client processes per case.")
_NUM_ROUNDS = flags.DEFINE_integer("num_rounds", 5, "Turns of each case.")
_SLICE_SECS = flags.DEFINE_float("slice_secs", 0.3, "The length of a turn.")
_BATCHES = flags.DEFINE_list("batches", ["1", "100", "1000"], "Ids of a request.")
_BASELINE = "redis_mget"
_DIM = 128


def measure_throughput(root: Path, work: Path, num_rows: int) -> dict[str, Any]:
    """Returns requests per second of each case, and ratios to Redis.

    The work of a case begins with an array of ids and ends with an array of
    vectors.
    """
    half_root = work / "bundles" / "half"
    serve_bundle.write_lookup_bundle(
        half_root, num_rows, _DIM, base=1.0, row_format=RowFormat.FLOAT16
    )
    results: dict[str, Any] = {"missing": serve_peers.missing_peers()}
    with contextlib.ExitStack() as stack:
        specs: dict[str, dict[str, Any]] = {}
        # What is asked for is what is stored, as it should be.
        for dtype, stored in (("float32", root), ("float16", half_root)):
            server = stack.enter_context(ServerForTest(stored, num_workers=2))
            for kind in ("unary", "stream", "stream_ahead"):
                specs[f"{kind}_{dtype}"] = {
                    "kind": kind,
                    "target": server.address,
                    "dtype": dtype,
                }
        specs["local"] = {"kind": "local", "target": str(root)}
        if "redis" not in results["missing"]:
            port = stack.enter_context(serve_peers.run_redis(root, work))
            specs[_BASELINE] = {"kind": "redis", "target": port}
            specs["redis_mget_ahead"] = {"kind": "redis_ahead", "target": port}
        if "fastapi" not in results["missing"]:
            port = stack.enter_context(serve_peers.run_fastapi(root))
            specs["http_binary"] = {"kind": "http_binary", "target": port}
            specs["http_json"] = {"kind": "http_json", "target": port}
        for batch in map(int, _BATCHES.value):
            with contextlib.ExitStack() as clients:
                cases = {
                    name: clients.enter_context(
                        ClientProcesses(
                            _NUM_CLIENTS.value, batch=batch, num_rows=num_rows, **spec
                        )
                    )
                    for name, spec in specs.items()
                }
                rates = alternate(
                    cases, num_rounds=_NUM_ROUNDS.value, secs=_SLICE_SECS.value
                )
            results[f"batch={batch}"] = {
                "requests_per_sec": _rounded(rates),
                "ratio_to_redis": _rounded(
                    {n: r / rates[_BASELINE] for n, r in rates.items()}
                    if _BASELINE in rates
                    else {}
                ),
            }
    return results


def measure_latency(root: Path, num_rows: int) -> dict[str, Any]:
    """Returns latencies of lookups of 100 ids at half of the peak load."""
    with (
        ServerForTest(root, num_workers=2) as server,
        ClientProcesses(
            _NUM_CLIENTS.value,
            kind="unary",
            target=server.address,
            batch=100,
            num_rows=num_rows,
        ) as clients,
    ):
        peak = clients.run(3.0)["rate"]
        runs = [clients.run(3.0, peak / 2) for _ in range(5)]
    ratios = sorted(run["p99"] / run["p50"] for run in runs)
    return {"peak_rate": peak, "runs": runs, "median_p99_to_p50": ratios[2]}


def measure_retrieve(work: Path, num_rows: int) -> dict[str, Any]:
    """Returns queries per second with an index and with exact fp16 search.

    Queries are entities through a relation; in the process, without a server, and
    by RPC, some at a time.
    """
    trained = _TRAINED.value
    indexed = work / "indexed" if trained is None else Path(trained)
    if trained is None:
        serve_bundle.write_retrieval_bundle(indexed, num_rows, 64)
    bundle = Bundle.open(indexed)
    relation = _RELATION.value
    entity_type = bundle.relations[relation].rhs
    serve_bundle.write_exact_copy(indexed, work / "exact", entity_type)
    (index,) = (i for i in bundle.manifest.indexes if i.entity_type == entity_type)
    roots = {"indexed": indexed, "exact": work / "exact"}
    with contextlib.ExitStack() as stack:
        cases = {}
        for name, root in roots.items():
            server = stack.enter_context(ServerForTest(root, num_workers=2))
            for where in ({}, {"target": server.address}):
                for batch in (1, 16):
                    case = f"{name} {'rpc' if where else 'local'} queries={batch}"
                    spec = {"root": str(root), "relation": relation, "batch": batch}
                    cases[case] = stack.enter_context(
                        ClientProcesses(_NUM_CLIENTS.value, **spec, **where)
                    )
        rates = alternate(cases, num_rounds=_NUM_ROUNDS.value, secs=_SLICE_SECS.value)
    return {
        "num_rows": bundle.tables[entity_type].num_rows,
        "dim": bundle.dim,
        "num_lists": index.num_lists,
        "num_probes": index.relation_num_probes,
        "recall_at_100": index.relation_recall_at_100,
        "requests_per_sec": _rounded(rates),
        "ratio_to_exact": _rounded(
            {
                case.removeprefix("indexed "): rate
                / rates[case.replace("indexed", "exact")]
                for case, rate in rates.items()
                if case.startswith("indexed")
            }
        ),
    }


def main(argv: list[str]) -> None:
    """Measures the chosen parts and prints."""
    del argv
    if _PEERS.value is not None:
        sys.path.append(_PEERS.value)
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    scale = 100 if _SMALL.value else 1
    work = Path(_WORK.value).absolute()
    shutil.rmtree(work / "bundles", ignore_errors=True)
    bundles = work / "bundles"
    num_rows = 1_000_000 // scale
    root = bundles / "lookup"
    serve_bundle.write_lookup_bundle(root, num_rows, _DIM, base=1.0)
    write_bundle(bundles / "tiny", base=1.0)

    def start() -> dict[str, Any]:
        large = bundles / "large"
        # 10 M rows of 512 bytes: 5 GB.
        serve_bundle.write_lookup_bundle(large, 10_000_000 // scale, _DIM, base=1.0)
        result = serve_faults.measure_start(large, 5)
        shutil.rmtree(large)
        return result

    def reload() -> dict[str, Any]:
        # A fifth of the rows: every reload reads all of them.
        switched = bundles / "switched"
        for base in (1.0, 2.0):
            serve_bundle.write_lookup_bundle(switched, num_rows // 5, _DIM, base=base)
        return serve_faults.measure_reloads(switched, num_rows // 5, 200 // scale)

    def shards() -> dict[str, Any]:
        quarters = bundles / "quarters"
        serve_bundle.write_lookup_bundle(
            quarters, num_rows, _DIM, base=1.0, num_shards=4
        )
        return serve_faults.compare_shards(quarters, num_rows)

    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "throughput": lambda: measure_throughput(root, work, num_rows),
        "latency": lambda: measure_latency(root, num_rows),
        "retrieve": lambda: measure_retrieve(bundles, num_rows),
        "start": start,
        "reload": reload,
        "overload": lambda: serve_faults.measure_overload(root, num_rows, 60 / scale),
        "kill": lambda: serve_faults.measure_kills(root, num_rows, 3),
        "malformed": lambda: serve_faults.measure_malformed(
            bundles / "tiny", 10_000 // scale
        ),
        "shards": shards,
    }
    results: dict[str, Any] = {
        "machine": platform.machine(),
        "num_cores": os.cpu_count(),
        "num_clients": _NUM_CLIENTS.value,
        "num_rows": num_rows,
        "dim": _DIM,
    }
    for part in _CHOSEN.value:
        print(f"measuring {part}", file=sys.stderr, flush=True)
        begin = time.monotonic()
        results[part] = measures[part]()
        results[part]["secs"] = round(time.monotonic() - begin, 1)
    shutil.rmtree(bundles)
    print(json.dumps(results, indent=1))


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.3g}") for name, value in values.items()}


if __name__ == "__main__":
    app.run(main)
