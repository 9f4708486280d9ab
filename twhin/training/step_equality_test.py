# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that training at 1 rank, at 2 ranks and with plain tensors is the same.

Two entity types, a relation between them and one from a type to itself; builder,
model, fused loss and sharded tables together, for 20 steps.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from twhin.config.settings import Kernel, OptimizerKind, Sharding, Table
from twhin.graph.edge_batch import EdgeBatch
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema
from twhin.model.edge_group import EdgeGroup, GroupSide, Segment
from twhin.model.fused_edge_loss import fused_edge_loss
from twhin.model.relation_model import RelationModel
from twhin.scoring import Comparator, Operator
from twhin.testing.dense_tables import DenseTables
from twhin.testing.dense_trainer import DenseTrainer
from twhin.testing.ranks import run_ranks
from twhin.testing.step_settings import (
    make_loss_settings,
    make_negatives,
    make_optimizer,
    make_table,
)
from twhin.training.entity_tables import EntityTables
from twhin.training.step_batch import StepBatch
from twhin.training.step_batch_builder import StepBatchBuilder

_NUM_STEPS = 20
_NUM_RANKS = 2
_BATCH_SIZE = 24
_DIM = 8
_TOLERANCE = 1e-5
_NUM_ENTITIES = {"user": 40, "tweet": 25}
_SCHEMA = GraphSchema(
    entity_types=tuple(
        EntityTypeSchema(name=name, num_entities=count)
        for name, count in _NUM_ENTITIES.items()
    ),
    relations=(
        RelationSchema(name="likes", lhs="user", rhs="tweet"),
        RelationSchema(name="follows", lhs="user", rhs="user"),
    ),
)
_OPTIMIZER = make_optimizer(eps=1e-6)
_LOSS = make_loss_settings(lhs_weight=0.7, l2=0.01)
_CASES: dict[str, tuple[dict[str, Table], Comparator]] = {
    "rowwise_adagrad": (
        {name: make_table() for name in _NUM_ENTITIES},
        Comparator.DOT,
    ),
    "adagrad_and_sgd": (
        {
            "user": make_table(
                optimizer=OptimizerKind.ADAGRAD, sharding=Sharding.COLUMN_WISE
            ),
            "tweet": make_table(
                optimizer=OptimizerKind.SGD,
                sharding=Sharding.TABLE_WISE,
                learning_rate=0.01,
            ),
        },
        Comparator.NEGATIVE_SQUARED_L2,
    ),
    "dense_adam": (
        {
            "user": make_table(
                optimizer=OptimizerKind.ADAM, kernel=Kernel.DENSE, learning_rate=0.01
            ),
            "tweet": make_table(),
        },
        Comparator.NEGATIVE_L2,
    ),
}


def _edges(step: int, rank: int) -> EdgeBatch:
    """Returns a batch; the last step has a short one, and none on rank 1."""
    size = _BATCH_SIZE
    if step == _NUM_STEPS - 1:
        size = 7 if rank == 0 else 0
    generator = torch.Generator().manual_seed(1000 * step + rank)
    rel = torch.randint(0, 2, (size,), generator=generator)
    rhs = torch.randint(0, _NUM_ENTITIES["tweet"], (size,), generator=generator)
    return EdgeBatch(
        lhs=torch.randint(0, _NUM_ENTITIES["user"], (size,), generator=generator),
        rel=rel,
        rhs=rhs,
        weight=torch.rand(size, generator=generator) + 0.5,
    )


def _batches(rank: int) -> list[StepBatch]:
    """Returns what a rank of two builds for each step."""
    builder = StepBatchBuilder(
        schema=_SCHEMA,
        settings=make_negatives(
            chunk_size=5, in_batch=True, num_by_degree=3, logq_correction=True
        ),
        loss_weights=[1.0, 0.5],
        batch_size=_BATCH_SIZE,
        seed=11,
        rank=rank,
        world_size=_NUM_RANKS,
        degrees={name: np.arange(1, n + 1) for name, n in _NUM_ENTITIES.items()},
    )
    return [builder.build(_edges(step, rank), step) for step in range(_NUM_STEPS)]


def _merge(batches: list[StepBatch]) -> StepBatch:
    """Returns the batches of several ranks as one."""
    groups: list[EdgeGroup] = []
    starts = dict.fromkeys(_NUM_ENTITIES, 0)
    for batch in batches:
        for group in batch.groups:
            groups.append(
                replace(
                    group,
                    lhs=_move(group.lhs, starts[group.lhs_type]),
                    rhs=_move(group.rhs, starts[group.rhs_type]),
                )
            )
        for name, rows in batch.rows.items():
            starts[name] += len(rows)
    return StepBatch(
        rows={name: torch.cat([b.rows[name] for b in batches]) for name in starts},
        groups=tuple(groups),
        num_edges=sum(batch.num_edges for batch in batches),
    )


def _move(side: GroupSide, start: int) -> GroupSide:
    segment, negatives = (
        Segment(start=old.start + start, stop=old.stop + start)
        for old in (side.segment, side.negatives)
    )
    return replace(side, segment=segment, negatives=negatives)


def _make_model(comparator: Comparator) -> RelationModel:
    model = RelationModel(
        operators=[Operator.DIAGONAL, Operator.TRANSLATION],
        embedding_dim=_DIM,
        comparator=comparator,
        reciprocal=True,
    )
    # A user is no candidate at distance 0 of itself, where rounding decides.
    generator = torch.Generator().manual_seed(1)
    for parameters in model.parameters():
        parameters.data.uniform_(-1.0, 1.0, generator=generator)
    return model


def _make_tables(tables: dict[str, Table]) -> EntityTables:
    made = EntityTables(
        schema=_SCHEMA,
        tables=tables,
        embedding_dim=_DIM,
        optimizer=_OPTIMIZER,
        device=torch.device("cpu"),
    )
    made.initialize(init_scale=0.5, seed=0)
    return made


def _parts(tables: EntityTables) -> dict[str, list[tuple[int, int, Tensor]]]:
    return {
        name: [
            (part.start, part.column_start, part.rows.clone())
            for part in tables.local_blocks(name)
        ]
        for name in _NUM_ENTITIES
    }


def _train(case: str) -> dict[str, Any]:
    """Trains on the ranks of the job, one of which gets all batches if alone."""
    settings, comparator = _CASES[case]
    tables, model = _make_tables(settings), _make_model(comparator)
    if dist.get_world_size() == 1:
        steps = [
            _merge(list(batches))
            for batches in zip(*map(_batches, range(_NUM_RANKS)), strict=True)
        ]
    else:
        steps = _batches(dist.get_rank())
    adagrad = torch.optim.Adagrad(
        model.parameters(), lr=_OPTIMIZER.learning_rate, eps=_OPTIMIZER.eps
    )
    losses = []
    for batch in steps:
        loss = fused_edge_loss(tables.lookup(batch.rows), batch.groups, model, _LOSS)
        loss.total.backward()  # type: ignore[no-untyped-call]
        tables.step()
        for parameters in model.parameters():
            dist.all_reduce(parameters.grad)
        adagrad.step()
        adagrad.zero_grad()
        total = loss.total.detach()
        dist.all_reduce(total)
        losses.append(float(total))
    return {
        "losses": losses,
        "parts": _parts(tables),
        "relations": {name: p.detach() for name, p in model.named_parameters()},
    }


def _train_all() -> dict[str, dict[str, Any]]:
    return {case: _train(case) for case in _CASES}


def _train_dense(case: str, rows: dict[str, Tensor]) -> dict[str, Any]:
    settings, comparator = _CASES[case]
    tables, model = DenseTables(rows, settings, _OPTIMIZER), _make_model(comparator)
    trainer = DenseTrainer(
        tables=tables,
        model=model,
        loss=_LOSS,
        learning_rate=_OPTIMIZER.learning_rate,
        eps=_OPTIMIZER.eps,
    )
    steps = zip(*(_batches(rank) for rank in range(_NUM_RANKS)), strict=True)
    return {
        "losses": [trainer.step(batches) for batches in steps],
        "rows": tables.rows,
        "relations": {name: p.detach() for name, p in model.named_parameters()},
    }


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Makes this process the only rank of a job."""
    rendezvous = tmp_path_factory.mktemp("rendezvous") / "file"
    dist.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=0, world_size=1
    )
    yield rendezvous
    dist.destroy_process_group()


@pytest.fixture(scope="module", params=[1, 2])
def ranks(
    request: pytest.FixtureRequest, one_rank: Path
) -> list[dict[str, dict[str, Any]]]:
    """What each rank has at the end, of 1 rank and of 2."""
    if request.param == 1:
        return [_train_all()]
    return run_ranks(_train_all, request.param)


@pytest.mark.parametrize("case", _CASES)
def test_losses_tables_and_relations_equal_the_plain_ones(
    one_rank: Path, ranks: list[dict[str, dict[str, Any]]], case: str
) -> None:
    initial = _parts(_make_tables(_CASES[case][0]))

    dense = _train_dense(case, {name: part[0][2] for name, part in initial.items()})

    for rank in ranks:
        np.testing.assert_allclose(
            rank[case]["losses"], dense["losses"], rtol=_TOLERANCE
        )
        _expect_close(rank[case]["relations"], dense["relations"])
        for name, parts in rank[case]["parts"].items():
            for start, column, rows in parts:
                expected = dense["rows"][name][start:, column:]
                expected = expected[: rows.shape[0], : rows.shape[1]]
                _expect_close({name: rows}, {name: expected})
    for name, count in _NUM_ENTITIES.items():
        # All of the table was compared, and training has changed it.
        moved = (dense["rows"][name] - initial[name][0][2]).abs().mean()
        assert float(moved) > 0.005, name
        elements = [
            part[2].numel() for rank in ranks for part in rank[case]["parts"][name]
        ]
        assert sum(elements) == count * _DIM


def _expect_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, values in found.items():
        torch.testing.assert_close(
            values, expected[name], rtol=_TOLERANCE, atol=_TOLERANCE, msg=name
        )
