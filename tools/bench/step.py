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
import torch.distributed as dist
from absl import app, flags
from torch.profiler import ProfilerActivity, profile

if not __package__:  # Run as a file: the root is not on the path yet.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.bench import matrix_products
from tools.bench.training_workload import Workload
from twhin import allocator
from twhin.config.settings import Comparator, LossKind, Operator, Precision
from twhin.cpu import threads
from twhin.graph.edge_batch import EdgeBatch
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema
from twhin.model import compiled_parts
from twhin.model.fused_edge_loss import fused_edge_loss
from twhin.model.relation_model import RelationModel
from twhin.testing.step_settings import (
    make_loss_settings,
    make_negatives,
    make_optimizer,
    make_table,
)
from twhin.training.entity_tables import EntityTables
from twhin.training.step_batch import StepBatch
from twhin.training.step_batch_builder import StepBatchBuilder

_NUM_ENTITIES = flags.DEFINE_integer("num_entities", 1_000_000, "Over all types.")
_NUM_RELATIONS = flags.DEFINE_integer("num_relations", 1, "Relations.")
_NUM_ENTITY_TYPES = flags.DEFINE_integer("num_entity_types", 1, "Entity types.")
_DIM = flags.DEFINE_integer("dim", 128, "Embedding dimension.")
_NUM_NEGATIVES = flags.DEFINE_integer("num_negatives", 100, "For each side.")
_IN_BATCH = flags.DEFINE_boolean("in_batch", False, "In-batch negatives too.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 10_000, "Edges of a step.")
_CHUNK_SIZE = flags.DEFINE_integer("chunk_size", 1_000, "Edges of a chunk.")
_NUM_STEPS = flags.DEFINE_integer("num_steps", 40, "Steps of a repetition.")
_REPETITIONS = flags.DEFINE_integer("repetitions", 5, "The best one counts.")
_COMPARATOR = flags.DEFINE_enum_class("comparator", Comparator.DOT, Comparator, "")
_LOSS = flags.DEFINE_enum_class("loss", LossKind.SOFTMAX, LossKind, "")
_PRECISION = flags.DEFINE_enum_class("precision", Precision.FLOAT32, Precision, "")
_PROFILE = flags.DEFINE_boolean("profile", False, "Prints the ten largest costs.")


class Step:
    """The parts of a job that a step runs through."""

    def __init__(self, workload: Workload) -> None:
        """Makes tables, relations and the batches of one repetition."""
        names = [f"type{i}" for i in range(workload.num_entity_types)]
        schema = GraphSchema(
            entity_types=tuple(
                EntityTypeSchema(name=name, num_entities=workload.type_size)
                for name in names
            ),
            relations=tuple(
                RelationSchema(name=f"relation{r}", lhs=lhs, rhs=rhs)
                for r, (lhs, rhs) in enumerate(workload.relation_types())
            ),
        )
        self.tables = EntityTables(
            schema=schema,
            tables={name: make_table() for name in names},
            embedding_dim=workload.dim,
            optimizer=make_optimizer(),
            device=torch.device("cpu"),
        )
        self.tables.initialize(init_scale=0.001, seed=0)
        self.model = RelationModel(
            operators=[Operator.TRANSLATION] * workload.num_relations,
            embedding_dim=workload.dim,
            comparator=_COMPARATOR.value,
            reciprocal=True,
        )
        self._optimizer = torch.optim.Adagrad(self.model.parameters(), lr=0.1)
        self._loss = make_loss_settings(kind=_LOSS.value)
        self._builder = StepBatchBuilder(
            schema=schema,
            settings=make_negatives(
                chunk_size=_CHUNK_SIZE.value,
                num_uniform=workload.num_negatives,
                in_batch=_IN_BATCH.value,
            ),
            loss_weights=[1.0] * workload.num_relations,
            batch_size=_BATCH_SIZE.value,
            seed=0,
            for_compiled_loops=compiled_parts.serves(
                _COMPARATOR.value, self._loss, torch.device("cpu")
            ),
        )
        self._edges = _read(workload)
        self.batches: list[StepBatch] = []

    def build(self) -> None:
        """Builds the batches of a repetition."""
        self.batches = [
            self._builder.build(edges, step) for step, edges in enumerate(self._edges)
        ]

    def run(self) -> None:
        """Takes all steps of a repetition."""
        for batch in self.batches:
            with threads.taken_over():
                rows = self.tables.lookup(batch.rows)
                loss = fused_edge_loss(
                    rows,
                    batch.groups,
                    self.model,
                    self._loss,
                    _PRECISION.value,
                    batch.chunks,
                )
                torch.autograd.backward(loss.total)
                self.tables.step()
                self._optimizer.step()
                self._optimizer.zero_grad()


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


def _measure(step: Step) -> None:
    """Prints the best of some repetitions of everything, in turn."""
    num_edges = _BATCH_SIZE.value * _NUM_STEPS.value
    num_negatives = _NUM_NEGATIVES.value + _IN_BATCH.value * _CHUNK_SIZE.value
    build = run = limit = 0.0
    for _ in range(_REPETITIONS.value):
        build = max(build, num_edges / _secs(step.build))
        run = max(run, num_edges / _secs(step.run))
        limit = max(
            limit,
            matrix_products.edges_per_sec(
                dim=_DIM.value,
                num_negatives=num_negatives,
                chunk_size=_CHUNK_SIZE.value,
                num_chunks=max(1, _BATCH_SIZE.value // _CHUNK_SIZE.value),
            ),
        )
    print(f"edges_per_sec={run:,.0f} build_edges_per_sec={build:,.0f}")
    print(f"limit_edges_per_sec={limit:,.0f} share_of_limit={run / limit:.3f}")
    print(f"threads={torch.get_num_threads()} torch={torch.__version__}")


def main(_: list[str]) -> None:
    """Measures, or profiles."""
    allocator.keep_large_buffers()
    workload = Workload(
        num_entities=_NUM_ENTITIES.value,
        num_edges=_BATCH_SIZE.value * _NUM_STEPS.value,
        num_relations=_NUM_RELATIONS.value,
        num_entity_types=_NUM_ENTITY_TYPES.value,
        dim=_DIM.value,
        num_negatives=_NUM_NEGATIVES.value,
    )
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = f"file://{folder}/rendezvous"
        dist.init_process_group("gloo", init_method=rendezvous, rank=0, world_size=1)
        step = Step(workload)
        step.build()
        step.run()
        if _PROFILE.value:
            with profile(activities=[ProfilerActivity.CPU]) as costs:
                step.run()
            table = costs.key_averages().table(
                sort_by="self_cpu_time_total", row_limit=16, max_name_column_width=40
            )
            print(table)
        _measure(step)
        dist.destroy_process_group()


if __name__ == "__main__":
    app.run(main)
