# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Measures the evaluator on random tables and a generated graph.

    python -m tools.bench.evaluation --work=/tmp/bench

The default is the size of FB15k-237: 20,466 test edges of 237 relations, both
sides ranked among 14,541 entities of dimension 200, raw and filtered. Entities are
drawn by a power law. Prints one JSON object:

    first_secs      the first call: reads all edges, indexes known ones, ranks
    secs            the best of the later calls: ranks
    products_secs   the matrix products of a call alone, of the same sizes
"""

import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from absl import app, flags

from twhin.config.settings import Evaluation
from twhin.evaluation.dense_tables import DenseTables
from twhin.evaluation.evaluator import Evaluator
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema
from twhin.model.relation_model import RelationModel
from twhin.scoring import Comparator, Operator

_WORK = flags.DEFINE_string("work", None, "A folder for edge files.", required=True)
_TASK = flags.DEFINE_enum(
    "task", "link_prediction", ["link_prediction", "retrieval"], "What is measured."
)
_COMPARATOR = flags.DEFINE_enum_class(
    "comparator", Comparator.DOT, Comparator, "How embeddings are compared."
)
_NUM_ENTITIES = flags.DEFINE_integer("num_entities", 14_541, "Rows of the table.")
_NUM_RELATIONS = flags.DEFINE_integer("num_relations", 237, "Relations.")
_NUM_TRAIN_EDGES = flags.DEFINE_integer("num_train_edges", 272_115, "Known edges.")
_NUM_TEST_EDGES = flags.DEFINE_integer("num_test_edges", 20_466, "Ranked edges.")
_EMBEDDING_DIM = flags.DEFINE_integer("embedding_dim", 200, "D.")
_NUM_CANDIDATES = flags.DEFINE_integer("num_candidates", 0, "0 for all entities.")
_REPETITIONS = flags.DEFINE_integer("repetitions", 3, "Later calls.", lower_bound=1)
_NUM_THREADS = flags.DEFINE_integer("num_threads", os.cpu_count(), "Threads.")


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Encoded edges, one file for each split."""

    schema: GraphSchema
    folder: Path

    def edge_files(self, split: str) -> tuple[str, ...]:
        """Returns the file of a split; there are no validation edges."""
        return () if split == "valid" else (str(self.folder / f"{split}.parquet"),)


def generate(folder: Path) -> Graph:
    """Writes edges between entities; degrees fall as a power of the rank."""
    generator = np.random.default_rng(0)
    names = [str(number) for number in range(_NUM_RELATIONS.value)]
    schema = GraphSchema(
        entity_types=(
            EntityTypeSchema(name="entity", num_entities=_NUM_ENTITIES.value),
        ),
        relations=tuple(
            RelationSchema(name=name, lhs="entity", rhs="entity") for name in names
        ),
    )
    sizes = {"train": _NUM_TRAIN_EDGES.value, "test": _NUM_TEST_EDGES.value}
    for split, count in sizes.items():
        lhs, rhs = (
            (generator.random(count) ** 3 * _NUM_ENTITIES.value).astype(np.int64)
            for _ in range(2)
        )
        rel = generator.integers(_NUM_RELATIONS.value, size=count)
        table = pa.table({"lhs": lhs, "rel": rel, "rhs": rhs})
        pq.write_table(table, folder / f"{split}.parquet")
    return Graph(schema=schema, folder=folder)


def make_evaluator(graph: Graph) -> Evaluator:
    """Returns an evaluator of a random model."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(_NUM_ENTITIES.value, _EMBEDDING_DIM.value, generator=generator)
    retrieval = [relation.name for relation in graph.schema.relations]
    is_links = _TASK.value == "link_prediction"
    return Evaluator(
        Evaluation(
            link_prediction=is_links,
            num_candidates=_NUM_CANDIDATES.value,
            num_edges=0,
            retrieval_relations=() if is_links else tuple(retrieval),
            hits_at=(1, 3, 10),
            retrieval_at=(10, 20, 50),
            interval_epochs=1,
            best_metric=None,
            early_stopping_patience=0,
            mixture=None,
        ),
        graph=graph,
        model=RelationModel(
            operators=[Operator.TRANSLATION] * len(retrieval),
            embedding_dim=_EMBEDDING_DIM.value,
            comparator=_COMPARATOR.value,
            reciprocal=True,
        ),
        comparator=_COMPARATOR.value,
        tables=DenseTables(
            schema=graph.schema,
            embedding_dim=_EMBEDDING_DIM.value,
            read_rows=lambda name, start, stop: rows[start:stop],
            device=torch.device("cpu"),
        ),
        device=torch.device("cpu"),
        seed=0,
    )


def products_secs() -> float:
    """Returns the time of the products of both sides, by blocks of queries."""
    num_candidates = _NUM_CANDIDATES.value or _NUM_ENTITIES.value
    queries = torch.randn(1024, _EMBEDDING_DIM.value)
    candidates = torch.randn(num_candidates, _EMBEDDING_DIM.value)
    scores = torch.empty(1024, num_candidates)
    start = time.perf_counter()
    for _ in range(0, 2 * _NUM_TEST_EDGES.value, 1024):
        torch.mm(queries, candidates.t(), out=scores)
    return time.perf_counter() - start


def main(argv: list[str]) -> None:
    """Generates, measures and prints."""
    del argv
    torch.set_num_threads(_NUM_THREADS.value)
    work = Path(_WORK.value)
    work.mkdir(parents=True, exist_ok=True)
    evaluator = make_evaluator(generate(work))
    secs = []
    for _ in range(_REPETITIONS.value + 1):
        start = time.perf_counter()
        metrics = evaluator.evaluate("test")
        secs.append(round(time.perf_counter() - start, 3))
    result: dict[str, Any] = {
        "first_secs": secs[0],
        "secs": min(secs[1:]),
        "products_secs": round(products_secs(), 3),
        "metrics": {
            name: value
            for name, value in metrics.items()
            if "=" not in name and "popularity" not in name
        },
        "flags": {
            each.name: each.value
            for each in flags.FLAGS.get_key_flags_for_module(__name__)
        },
        "machine": platform.machine(),
        "num_cores": os.cpu_count(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    app.run(main)
