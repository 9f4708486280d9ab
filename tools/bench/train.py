# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Measures //twhin:train end to end, beside its limit and beside a peer.

    ./bazelw run //tools/bench:train -- --work=/tmp/bench
    ./bazelw run //tools/bench:train -- --work=/tmp/bench --pbg_dir=CHECKOUT

generates a graph, then runs in alternation ours, the matrix products alone and,
where --pbg_dir names a folder with the package torchbiggraph (and h5py),
PyTorch-BigGraph. Prints one JSON object; all ratios are of this one run, of the
best repetition of each:

    edges_per_sec             ours: between log lines, reading from parquet included
    ratio_to_limit            ours / what the six matrix products of an edge allow
    ratio_to_biggraph         ours / PyTorch-BigGraph, as it reports itself
    wait_share                of a step's time, waiting for its batch
    bytes_per_row             of the checkpoint: rows with their optimizer's state
"""

import dataclasses
import json
import os
import platform
import shutil
import statistics
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from absl import app, flags

if not __package__:  # Run as a file: the root is not on the path yet.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.bench import biggraph, matrix_products, training_process
from tools.bench.training_workload import Workload
from twhin.evaluation.history import read_history

_WORK = flags.DEFINE_string("work", None, "A folder for all files.", required=True)
_PBG_DIR = flags.DEFINE_string(
    "pbg_dir", None, "A folder with the package torchbiggraph, to compare with."
)
_REPETITIONS = flags.DEFINE_integer("repetitions", 3, "Runs of each, in alternation.")
_NUM_ENTITIES = flags.DEFINE_integer("num_entities", 1_000_000, "Over all types.")
_NUM_EDGES = flags.DEFINE_integer("num_edges", 2_000_000, "Training edges.")
_NUM_RELATIONS = flags.DEFINE_integer("num_relations", 1, "Relations.")
_NUM_ENTITY_TYPES = flags.DEFINE_integer("num_entity_types", 1, "Entity types.")
_DIM = flags.DEFINE_integer("dim", 128, "Embedding dimension.")
_NUM_NEGATIVES = flags.DEFINE_integer("num_negatives", 100, "For each side.")
_OVERRIDE = flags.DEFINE_multi_string("override", [], "As //twhin:train has it.")


def measure_ours(config: Path, output: Path) -> dict[str, float]:
    """Trains one epoch; returns its speed, waiting and memory."""
    shutil.rmtree(output, ignore_errors=True)
    measured = training_process.train(config, output, _OVERRIDE.value)
    # The first interval has the warm-up in it.
    entries = [e for e in read_history(output) if "edges_per_sec" in e][1:]
    return {
        "edges_per_sec": statistics.median(e["edges_per_sec"] for e in entries),
        "wait_share": statistics.mean(e["wait_share"] for e in entries),
        "loss": entries[-1]["loss"],
        "wall_secs": measured.wall_secs,
        "peak_resident_bytes": measured.peak_resident_bytes,
    }


def measure_biggraph(workload: Workload, folder: Path) -> dict[str, float]:
    """Trains the same workload with PyTorch-BigGraph."""
    measured = training_process.train_biggraph(
        biggraph.__file__, workload, folder, _PBG_DIR.value
    )
    result: dict[str, float] = json.loads(measured.output.splitlines()[-1])
    return result | {"peak_resident_bytes": measured.peak_resident_bytes}


def _checkpoint_bytes(output: Path) -> int:
    """Returns the size of the files of the run's checkpoints."""
    files = (output / "checkpoints").rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    """Returns the run with the highest speed."""
    return max(runs, key=lambda run: run["edges_per_sec"])


def main(argv: list[str]) -> None:
    """Measures and prints."""
    del argv
    workload = Workload(
        num_entities=_NUM_ENTITIES.value,
        num_edges=_NUM_EDGES.value,
        num_relations=_NUM_RELATIONS.value,
        num_entity_types=_NUM_ENTITY_TYPES.value,
        dim=_DIM.value,
        num_negatives=_NUM_NEGATIVES.value,
    )
    work = Path(_WORK.value)
    config = workload.write(work / "input")
    ours, limits, peers = [], [], []
    for _ in range(_REPETITIONS.value):
        ours.append(measure_ours(config, work / "run"))
        limits.append(
            matrix_products.edges_per_sec(
                dim=workload.dim, num_negatives=workload.num_negatives, chunk_size=1000
            )
        )
        if _PBG_DIR.value:
            peers.append(measure_biggraph(workload, work / "biggraph"))
    result: dict[str, Any] = best(ours)
    result["limit_edges_per_sec"] = max(limits)
    result["ratio_to_limit"] = result["edges_per_sec"] / max(limits)
    if peers:
        result["biggraph"] = best(peers)
        result["ratio_to_biggraph"] = (
            result["edges_per_sec"] / result["biggraph"]["edges_per_sec"]
        )
    result |= {
        "bytes_per_row": _checkpoint_bytes(work / "run") / workload.num_entities,
        "all_edges_per_sec": [round(run["edges_per_sec"]) for run in ours],
        "workload": dataclasses.asdict(workload),
        "machine": platform.processor() or platform.machine(),
        "num_cores": os.cpu_count(),
        "torch": metadata.version("torch"),
        "torchrec": metadata.version("torchrec"),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    app.run(main)
