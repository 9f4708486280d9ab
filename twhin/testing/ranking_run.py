# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The folder of a run whose checkpoints hold the tables of `ranking_case`."""

from pathlib import Path

import torch.distributed as dist

from twhin.checkpoint.table_part import TablePart
from twhin.checkpoint.training_state import Progress, TrainingState
from twhin.checkpoint.writer import CheckpointWriter
from twhin.config.resolved_config import load_config
from twhin.scoring import Comparator
from twhin.testing import ranking_case
from twhin.testing.ranking_case import SCHEMA, EncodedGraph

_CONFIG = """
graph:
  entity_types: [{name: user, num_entities: 7}, {name: item, num_entities: 11}]
  relations:
    - {name: likes, lhs: user, rhs: item}
    - {name: follows, lhs: user, rhs: user}
    - {name: views, lhs: user, rhs: item}
data:
  encoded: {train: train.parquet, valid: valid.parquet, test: test.parquet}
model: {embedding_dim: 4, comparator: negative_l2, reciprocal: true}
"""


def begin(folder: Path, more: str) -> EncodedGraph:
    """Writes a random graph, and run.yaml: `_CONFIG` with `more` behind it."""
    (folder / "run.yaml").write_text(_CONFIG + more)
    return ranking_case.write_random_graph(folder)


def save(folder: Path, step: int, *, seed: int = 0, is_best: bool = False) -> None:
    """Saves this rank's part of a model of the tables of a seed, in two parts."""
    rank, world_size = (
        (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    )
    config = load_config(folder / "run.yaml")
    writer = CheckpointWriter(
        folder / "checkpoints",
        schema=SCHEMA,
        embedding_dim=4,
        config_text=config.text,
        config_digest=config.digest,
        keep_last=5,
        group=dist.group.WORLD if dist.is_initialized() else None,
    )
    tables = {}
    for name, rows in ranking_case.random_tables(seed=seed).items():
        start = len(rows) * rank // world_size
        stop = len(rows) * (rank + 1) // world_size
        middle = (start + stop) // 2
        tables[name] = [
            TablePart(start=first, rows=rows[first:end], state={})
            for first, end in ((start, middle), (middle, stop))
        ]
    model = ranking_case.random_model(Comparator.NEGATIVE_L2)
    state = TrainingState(
        tables=tables,
        relations={
            name: parameters.detach()
            for name, parameters in model.parameters_by_name.items()
        },
        relation_optimizer={},
    )
    writer.save(state, Progress(step=step), is_best=is_best, wait=True)
    writer.close()
