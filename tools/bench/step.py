# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Measures one training step without reading: build, look up, loss, update.

    ./bazelw run //tools/bench:step
    ./bazelw run //tools/bench:step -- --dim=64 --num_relations=10 --num_entity_types=3

Prints edges per second of the step and of building its batch (which runs in a
thread of its own in training), and the share of the limit that the six matrix
products of an edge allow, measured in turn with the steps. With --profile, the ten
largest costs.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from absl import app, flags
from torch.profiler import ProfilerActivity, profile

if not __package__:  # Run as a file: the root is not on the path yet.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.bench import matrix_products
from tools.bench.training_workload import Workload
from twhin.config.resolved_config import load_config
from twhin.config.settings import TrainConfig
from twhin.graph.edge_batch import EdgeBatch
from twhin.testing.step_parts import StepParts
from twhin.training.job import Job, join_job
from twhin.training.step_batch import StepBatch

_NUM_ENTITIES = flags.DEFINE_integer("num_entities", 1_000_000, "Over all types.")
_NUM_RELATIONS = flags.DEFINE_integer("num_relations", 1, "Relations.")
_NUM_ENTITY_TYPES = flags.DEFINE_integer("num_entity_types", 1, "Entity types.")
_DIM = flags.DEFINE_integer("dim", 128, "Embedding dimension.")
_NUM_NEGATIVES = flags.DEFINE_integer("num_negatives", 100, "For each side.")
_NUM_STEPS = flags.DEFINE_integer("num_steps", 40, "Steps of a repetition.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 10_000, "Edges of a step.")
_REPETITIONS = flags.DEFINE_integer("repetitions", 5, "The best one counts.")
_OVERRIDE = flags.DEFINE_multi_string("override", [], "As //twhin:train has it.")
_PROFILE = flags.DEFINE_boolean("profile", False, "Prints the ten largest costs.")


class Step:
    """A step, taken with the batches of a repetition."""

    def __init__(self, settings: TrainConfig, workload: Workload, job: Job) -> None:
        """Reads the edges of one repetition."""
        self._parts = StepParts(settings, num_entities=workload.type_size, job=job)
        self._edges = _read(workload)
        self.batches: list[StepBatch] = []

    def build(self) -> None:
        """Builds the batches of a repetition."""
        self.batches = [
            self._parts.builder.build(edges, step)
            for step, edges in enumerate(self._edges)
        ]

    def run(self) -> None:
        """Takes all steps of a repetition."""
        for step, batch in enumerate(self.batches):
            self._parts.step.run(batch, step=step, factor=1.0, should_stop=False)


def _read(workload: Workload) -> list[EdgeBatch]:
    """Returns the edges of each step."""
    columns: list[list[torch.Tensor]] = [[], [], []]
    for part in workload.edges():
        for column, values in zip(columns, part, strict=True):
            column.append(torch.from_numpy(values))
    lhs, rel, rhs = (torch.split(torch.cat(c), _BATCH_SIZE.value) for c in columns)
    return [
        EdgeBatch(lhs=a, rel=r, rhs=b) for a, r, b in zip(lhs, rel, rhs, strict=True)
    ]


def _secs(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _measure(step: Step, settings: TrainConfig) -> None:
    """Prints the best of some repetitions of everything, in turn."""
    num_edges = _BATCH_SIZE.value * _NUM_STEPS.value
    chunk_size = settings.negatives.chunk_size
    num_in_batch = settings.negatives.in_batch * chunk_size
    build = run = limit = 0.0
    for _ in range(_REPETITIONS.value):
        build = max(build, num_edges / _secs(step.build))
        run = max(run, num_edges / _secs(step.run))
        limit = max(
            limit,
            matrix_products.edges_per_sec(
                dim=_DIM.value,
                num_negatives=_NUM_NEGATIVES.value + num_in_batch,
                chunk_size=chunk_size,
                num_chunks=max(1, _BATCH_SIZE.value // chunk_size),
            ),
        )
    print(f"edges_per_sec={run:,.0f} build_edges_per_sec={build:,.0f}")
    print(f"limit_edges_per_sec={limit:,.0f} share_of_limit={run / limit:.3f}")
    print(f"threads={torch.get_num_threads()} torch={torch.__version__}")


def main(_: list[str]) -> None:
    """Measures, or profiles."""
    workload = Workload(
        num_entities=_NUM_ENTITIES.value,
        num_edges=_BATCH_SIZE.value * _NUM_STEPS.value,
        num_relations=_NUM_RELATIONS.value,
        num_entity_types=_NUM_ENTITY_TYPES.value,
        dim=_DIM.value,
        num_negatives=_NUM_NEGATIVES.value,
    )
    with tempfile.TemporaryDirectory() as folder:
        config = workload.write(Path(folder))
        batch_size = f"training.batch_size={_BATCH_SIZE.value}"
        settings = load_config(config, [batch_size, *_OVERRIDE.value]).settings
    with join_job(settings.runtime) as job:
        step = Step(settings, workload, job)
        step.build()
        step.run()
        if _PROFILE.value:
            with profile(activities=[ProfilerActivity.CPU]) as costs:
                step.run()
            table = costs.key_averages().table(
                sort_by="self_cpu_time_total", row_limit=16, max_name_column_width=40
            )
            print(table)
        _measure(step, settings)


if __name__ == "__main__":
    app.run(main)
