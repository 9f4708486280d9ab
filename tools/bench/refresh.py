# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Measures what a warm start saves, and how far the vectors drift, on lastfm.

    python -m tools.bench.refresh --data=DATA/lastfm-social --work=/tmp/refresh

80 % of the users and artists are trained first; they are the day before. Then all are
trained: from scratch, with a warm start, and with a warm start and L2 to the
prior. Prints a JSON object for each run:

    test        Recall@20 of the epoch that was best in validation
    to_reach    epochs until validation is at least the best of the one from scratch
    cosine      the median cosine of kept rows to the day before, by entity type
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from absl import app, flags

from tools.bench.lastfm_run import Graph, Run, train
from twhin.checkpoint.reader import CheckpointReader
from twhin.checkpoint.table_part import TablePart
from twhin.graph.prepared_graph import PreparedGraph
from twhin.training.job import Job
from twhin.warm_start.alignment import measure_alignment
from twhin.warm_start.checkpoint_model import CheckpointModel
from twhin.warm_start.join import join_parts

_DATA = flags.DEFINE_string("data", None, "Has parquet/{train,test}.parquet.")
_WORK = flags.DEFINE_string("work", None, "A folder for runs; goes on where it was.")
_EPOCHS = flags.DEFINE_integer("epochs", 20, "Of runs from scratch.")
_WARM_EPOCHS = flags.DEFINE_integer("warm_epochs", 6, "Of runs with a warm start.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Splits and initialisations.")
_L2 = flags.DEFINE_list("l2", ["0.05", "0.5"], "Coefficients of L2 to the prior.")
_KEPT = flags.DEFINE_float("kept", 0.8, "The share of entities of the day before.")
_OVERRIDE = flags.DEFINE_multi_string("override", [], "For all runs.")
_ALONE = Job(rank=0, world_size=1, device=torch.device("cpu"), group=None)


def main(argv: Sequence[str]) -> None:
    """Trains with every seed."""
    del argv
    for seed in map(int, _SEEDS.value):
        _measure(Path(_WORK.value).absolute() / f"seed-{seed}", seed)


def _measure(work: Path, seed: int) -> None:
    work.mkdir(parents=True, exist_ok=True)
    graph = Graph.load(Path(_DATA.value), seed)
    _earlier(graph, seed).write(work / "graph-before")
    graph.write(work / "graph")
    before = _train(work, "before", _EPOCHS.value, seed, graph="graph-before")
    _print("before", seed, before, {})
    scratch = _train(work, "scratch", _EPOCHS.value, seed)
    warm = [
        f"warm_start.checkpoint={before.checkpoint}",
        "warm_start.new_rows=neighbors",
    ]
    runs = {"scratch": scratch}
    runs["warm"] = _train(work, "warm", _WARM_EPOCHS.value, seed, *warm)
    for l2 in _L2.value:
        prior = [f"graph.entity_types[{i}].table.l2_to_prior={l2}" for i in range(2)]
        name = f"warm-l2-{l2}"
        runs[name] = _train(work, name, _WARM_EPOCHS.value, seed, *warm, *prior)
    for name, run in runs.items():
        reached = [
            epoch for epoch, v in enumerate(run.valid, 1) if v >= max(scratch.valid)
        ]
        extra = {
            "to_reach": min(reached, default=None),
            "cosine": _cosines(run, before),
        }
        _print(name, seed, run, extra)


def _earlier(graph: Graph, seed: int) -> Graph:
    generator = np.random.default_rng(seed)
    train = graph.train
    users = np.unique(np.concatenate([train.lhs, train.rhs[~train.is_listen]]))
    artists = np.unique(train.rhs[train.is_listen])
    kept = [
        generator.permutation(ids)[: int(_KEPT.value * len(ids))]
        for ids in (users, artists)
    ]
    return graph.within(*kept)


def _train(
    work: Path, name: str, epochs: int, seed: int, *overrides: str, graph: str = "graph"
) -> Run:
    return train(
        work / graph,
        work / name,
        epochs=epochs,
        seed=seed,
        overrides=[*_OVERRIDE.value, *overrides],
    )


def _cosines(run: Run, before: Run) -> dict[str, float]:
    """Returns the median cosine of kept rows to the run before, by entity type."""
    reader = CheckpointReader(run.checkpoint)
    graph = PreparedGraph.open(str(run.folder / "prepared"))
    tables = {
        t.name: [
            TablePart(
                start=0, rows=reader.read_rows(t.name, 0, t.num_entities), state={}
            )
        ]
        for t in graph.schema.entity_types
    }
    source = CheckpointModel.open(before.checkpoint)
    joined = join_parts(source, graph, tables)
    metrics = measure_alignment(source, joined, list(tables), _ALONE).metrics
    return {name: round(metrics[f"alignment/{name}/cosine_p50"], 4) for name in tables}


def _print(name: str, seed: int, run: Run, extra: dict[str, Any]) -> None:
    values = dataclasses.asdict(run)
    del values["folder"]
    print(json.dumps({"run": name, "seed": seed, **values, **extra}), flush=True)


if __name__ == "__main__":
    flags.mark_flags_as_required(["data", "work"])
    app.run(main)
