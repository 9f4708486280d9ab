# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Compares steps that read rows where they are with steps that look them up."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from twhin.config.resolved_config import load_config
from twhin.config.settings import TrainConfig
from twhin.errors import TrainingError
from twhin.graph.edge_batch import EdgeBatch
from twhin.model import step_gradients
from twhin.testing.step_parts import StepParts
from twhin.testing.torch_threads import torch_threads
from twhin.training.entity_tables import EntityTables
from twhin.training.job import Job, join_job

_NUM_ENTITIES, _NUM_EDGES, _NUM_STEPS = 300, 400, 6
_CONFIG = """
graph:
  entity_types: [{name: user, num_entities: 300}, {name: item, num_entities: 300}]
  relations:
    - {name: likes, lhs: user, rhs: item}
    - {name: follows, lhs: user, rhs: user, operator: identity}
data: {encoded: {train: none.parquet}}
model: {embedding_dim: 16}
negatives: {num_uniform: 20, chunk_size: 150, in_batch: true, logq_correction: true}
runtime: {num_threads: 2}
"""


@pytest.fixture(name="job")
def make_job(tmp_path: Path) -> Iterator[Job]:
    """Joins a job of one rank, and restores the number of threads."""
    with torch_threads(2), join_job(_settings(tmp_path).runtime) as job:
        yield job


def _settings(folder: Path, *overrides: str) -> TrainConfig:
    path = folder / "config.yaml"
    path.write_text(_CONFIG)
    return load_config(path, overrides).settings


def _parts(settings: TrainConfig, job: Job) -> StepParts:
    return StepParts(settings, num_entities=_NUM_ENTITIES, job=job)


def _run(parts: StepParts) -> list[float]:
    """Takes some steps; returns their losses."""
    losses = []
    for step in range(_NUM_STEPS):
        totals = parts.step.run(
            parts.builder.build(_edges(step), step),
            step=step,
            factor=1.0 / (1 + step),
            should_stop=False,
        )
        losses += [totals.lhs_loss, totals.rhs_loss]
    return losses


def _edges(step: int) -> EdgeBatch:
    draw = torch.Generator().manual_seed(step)
    lhs, rel, rhs = (
        torch.randint(0, count, (_NUM_EDGES,), generator=draw)
        for count in (_NUM_ENTITIES, 2, _NUM_ENTITIES)
    )
    return EdgeBatch(lhs=lhs, rel=rel, rhs=rhs)


def _state(parts: StepParts) -> list[Tensor]:
    """Returns copies of rows, their state and parameters."""
    blocks = [
        block
        for entity_type in parts.schema.entity_types
        for block in parts.tables.local_blocks(entity_type.name)
    ]
    tensors = [each for block in blocks for each in (block.rows, *block.state.values())]
    return [each.detach().clone() for each in (*tensors, *parts.model.parameters())]


def _refuse(*args: Any, **named: Any) -> None:
    raise AssertionError("rows were looked up")


@pytest.mark.parametrize(
    "override",
    [
        "model.comparator=cosine",
        "model.comparator=dot",
        "loss.lhs_weight=0",
        "model={embedding_dim: 16, comparator: dot, reciprocal: false}",
        "model.projection=unit_norm",
        "training.precision=bfloat16",
    ],
)
def test_rows_where_they_are_give_the_same_bits(
    override: str, tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(tmp_path, override)
    with monkeypatch.context() as patch:
        patch.setattr(step_gradients, "takes_tables", lambda *_: False)
        looked_up = _parts(settings, job)
        expected = _run(looked_up)
    monkeypatch.setattr(EntityTables, "lookup", _refuse)
    in_tables = _parts(settings, job)
    before = _state(in_tables)

    assert _run(in_tables) == expected
    found = _state(in_tables)

    assert any(not torch.equal(*each) for each in zip(before, found, strict=True))
    for ours, theirs in zip(found, _state(looked_up), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "override",
    [
        "loss.kind=logistic",
        "loss.l2=0.1",
        "model.dropout=0.1",
        "graph.relations[1].operator=diagonal",
        "graph.entity_types[1].table.optimizer=adagrad",
        "negatives={all_entities: true, in_batch: false, num_uniform: 0}",
    ],
)
def test_other_steps_look_rows_up(
    override: str, tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EntityTables, "lookup", _refuse)

    with pytest.raises(AssertionError, match="rows were looked up"):
        _run(_parts(_settings(tmp_path, override), job))


def test_a_loss_that_is_not_finite_updates_nothing(tmp_path: Path, job: Job) -> None:
    training = _parts(_settings(tmp_path), job)
    _run(training)
    (part,) = training.tables.local_blocks("item")
    part.rows[7] = torch.inf
    before = _state(training)

    with pytest.raises(TrainingError, match="the loss is nan"):
        _run(training)

    for then, now in zip(before, _state(training), strict=True):
        assert torch.equal(then, now)
