# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that sharded tables are the plain ones, at 1 rank and at 2."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from twhin.config.settings import (
    Dtype,
    Kernel,
    OptimizerKind,
    Sharding,
    Table,
)
from twhin.graph.schema import EntityTypeSchema, GraphSchema
from twhin.testing.dense_tables import DenseTables
from twhin.testing.ranks import run_ranks
from twhin.testing.table_settings import make_optimizer, make_table
from twhin.training.entity_tables import EntityTables

_DIM = 8
_NUM_STEPS = 6
_CPU = torch.device("cpu")
_FUSED = (OptimizerKind.SGD, OptimizerKind.ADAGRAD, OptimizerKind.ROWWISE_ADAGRAD)
_DENSE = (OptimizerKind.SGD, OptimizerKind.ADAGRAD, OptimizerKind.ADAM)


def _all_tables() -> dict[str, Table]:
    """Returns a table for each combination that the CPU has, by name."""
    tables = {}
    for optimizer, dtype, sharding in itertools.product(_FUSED, Dtype, Sharding):
        if (optimizer, sharding) != (
            OptimizerKind.ROWWISE_ADAGRAD,
            Sharding.COLUMN_WISE,
        ):
            tables[f"{optimizer}_{dtype}_{sharding}"] = make_table(
                optimizer=optimizer, dtype=dtype, sharding=sharding
            )
    for optimizer, sharding in itertools.product(_DENSE, Sharding):
        tables[f"dense_{optimizer}_{sharding}"] = make_table(
            optimizer=optimizer, sharding=sharding, kernel=Kernel.DENSE
        )
    return tables


_TABLES = _all_tables()
# Rows of the n-th table: not a multiple of the ranks, one table with a single row.
_NUM_ROWS = {name: 1 + 5 * n for n, name in enumerate(_TABLES)}


def _make(tables: dict[str, Table], **changes: Any) -> EntityTables:
    schema = GraphSchema(
        entity_types=tuple(
            EntityTypeSchema(name=name, num_entities=_NUM_ROWS[name]) for name in tables
        ),
        relations=(),
    )
    made = EntityTables(
        schema=schema,
        tables=tables,
        embedding_dim=_DIM,
        optimizer=make_optimizer(beta1=0.8, eps=1e-3),
        device=_CPU,
        **changes,
    )
    made.initialize(init_scale=0.5, seed=3)
    return made


def _lookups(step: int, rank: int) -> dict[str, Tensor]:
    """Returns rows with repetitions; a rank looks nothing up in some steps."""
    generator = torch.Generator().manual_seed(100 * step + rank)
    return {
        name: torch.randint(
            0, num_rows, (0 if (step + rank) % 3 == 2 else 9,), generator=generator
        )
        for name, num_rows in _NUM_ROWS.items()
    }


def _loss(found: dict[str, Tensor], step: int, rank: int) -> Tensor:
    generator = torch.Generator().manual_seed(100 * step + rank)
    terms = [
        (table * torch.randn(table.shape, generator=generator)).sum()
        for table in found.values()
    ]
    return torch.stack(terms).sum()


def _parts(tables: EntityTables, names: list[str]) -> dict[str, list[Any]]:
    return {
        name: [
            (part.start, part.column_start, part.rows.clone(), dict(part.state))
            for part in tables.local_blocks(name)
        ]
        for name in names
    }


def _train() -> dict[str, list[Any]]:
    """Updates all tables for some steps, and returns this rank's parts."""
    rank = dist.get_rank()
    tables = _make(_TABLES)
    for step in range(_NUM_STEPS):
        found = tables.lookup(_lookups(step, rank))
        tables.set_learning_rate_factor(1.0 / (1 + step))
        _loss(found, step, rank).backward()  # type: ignore[no-untyped-call]
        tables.step()
    return _parts(tables, list(_TABLES))


def _train_dense(rows: dict[str, Tensor], world_size: int) -> DenseTables:
    """Does the same with plain tables, for all ranks."""
    tables = DenseTables(rows, _TABLES, make_optimizer(beta1=0.8, eps=1e-3))
    for step in range(_NUM_STEPS):
        tables.set_learning_rate_factor(1.0 / (1 + step))
        for rank in range(world_size):
            found = tables.lookup(_lookups(step, rank))
            _loss(found, step, rank).backward()  # type: ignore[no-untyped-call]
        tables.step()
    return tables


def _assemble(ranks: list[dict[str, list[Any]]], name: str) -> dict[str, Tensor]:
    """Puts the parts of a table together, "rows" and each state."""
    parts = [part for rank in ranks for part in rank[name]]
    whole = {"rows": torch.full((_NUM_ROWS[name], _DIM), torch.nan)}
    for start, column, rows, state in parts:
        for key, values in {"rows": rows, **state}.items():
            shape = (_NUM_ROWS[name], _DIM)[: values.dim()]
            target = whole.setdefault(key, torch.full(shape, torch.nan))
            target = target[start : start + len(values)]
            if values.dim() == 2:
                target = target[:, column : column + values.shape[1]]
            target.copy_(values)
    return whole


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Makes this process the only rank of a job."""
    rendezvous = tmp_path_factory.mktemp("rendezvous") / "file"
    dist.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=0, world_size=1
    )
    yield
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def initial_rows(one_rank: None) -> dict[str, Tensor]:
    parts = _parts(_make(_TABLES), list(_TABLES))
    return {name: _assemble([parts], name)["rows"] for name in _TABLES}


@pytest.fixture(scope="module", params=[1, 2])
def trained(
    request: pytest.FixtureRequest, initial_rows: dict[str, Tensor]
) -> tuple[list[dict[str, list[Any]]], DenseTables]:
    """Trained tables of each rank, and plain ones, at 1 rank and at 2."""
    world_size: int = request.param
    ranks = [_train()] if world_size == 1 else run_ranks(_train, world_size)
    return ranks, _train_dense(initial_rows, world_size)


@pytest.mark.parametrize("name", _TABLES)
def test_table_and_state_equal_the_plain_ones(
    trained: tuple[list[dict[str, list[Any]]], DenseTables], name: str
) -> None:
    ranks, dense = trained
    # Sums in another order may round a float16 the other way.
    tolerance = 1e-5 if _TABLES[name].dtype is Dtype.FLOAT32 else 2e-3

    whole = _assemble(ranks, name)

    torch.testing.assert_close(
        whole.pop("rows"), dense.rows[name].float(), rtol=tolerance, atol=tolerance
    )
    assert whole.keys() == dense.state[name].keys()
    for key, values in whole.items():
        torch.testing.assert_close(
            values, dense.state[name][key], rtol=tolerance, atol=tolerance
        )
