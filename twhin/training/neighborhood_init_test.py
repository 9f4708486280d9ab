# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that rows near their neighbours are those of a plain reference."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from twhin.config.settings import Dtype, OptimizerKind, Sharding
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema
from twhin.testing.ranks import run_ranks
from twhin.testing.step_settings import make_optimizer, make_table
from twhin.training import neighborhood_init
from twhin.training.entity_tables import EntityTables
from twhin.training.job import Job

_DIM = 8
_HOPS = 3
_NORM = 2.5
_NUM_USERS, _NUM_ITEMS = 23, 14
_SCHEMA = GraphSchema(
    entity_types=(
        EntityTypeSchema(name="user", num_entities=_NUM_USERS),
        EntityTypeSchema(name="item", num_entities=_NUM_ITEMS),
    ),
    relations=(
        RelationSchema(name="likes", lhs="user", rhs="item"),
        RelationSchema(name="follows", lhs="user", rhs="user"),
        RelationSchema(name="ignored", lhs="user", rhs="item"),
    ),
)
_WEIGHTS = (1.0, 0.5, 0.0)


def _edges() -> list[tuple[int, int, int, float]]:
    """Returns lhs, relation, rhs and weight; the last user and item touch nothing."""
    random = np.random.default_rng(5)
    edges = []
    for _ in range(90):
        rel = int(random.integers(3))
        lhs = int(random.integers(_NUM_USERS - 1))
        rhs = int(random.integers(_NUM_USERS - 1 if rel == 1 else _NUM_ITEMS - 1))
        edges.append((lhs, rel, rhs, float(random.integers(1, 4))))
    return edges


def _write(path: Path) -> str:
    lhs, rel, rhs, weight = zip(*_edges(), strict=True)
    table = pa.table({"lhs": lhs, "rel": rel, "rhs": rhs, "weight": weight})
    pq.write_table(table, path, row_group_size=40)
    return str(path)


def _reference(random: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns users above items by a dense matrix of the whole graph."""
    adjacency = np.zeros((len(random), len(random)))
    for lhs, rel, rhs, weight in _edges():
        other = rhs if rel == 1 else _NUM_USERS + rhs
        adjacency[lhs, other] += weight * _WEIGHTS[rel]
        adjacency[other, lhs] += weight * _WEIGHTS[rel]
    degrees = adjacency.sum(0)
    step = adjacency / np.sqrt(np.where(degrees, degrees, 1.0))
    x = _unit(random)
    total = x.copy()
    for _ in range(_HOPS):
        x = _unit(step @ x)
        total += x
    return _NORM * _unit(total)


def _unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norms, norms, 1.0)


def _start(path: str, sharding: Sharding, dtype: Dtype) -> tuple[Tensor, Tensor]:
    """Returns all rows before and after, users above items, as this rank sees them."""
    table = make_table(optimizer=OptimizerKind.ADAGRAD, sharding=sharding, dtype=dtype)
    tables = EntityTables(
        schema=_SCHEMA,
        tables={"user": table, "item": table},
        embedding_dim=_DIM,
        optimizer=make_optimizer(),
        device=torch.device("cpu"),
    )
    tables.initialize(init_scale=0.5, seed=1)
    before = _look_up(tables)
    world_size = dist.get_world_size()
    neighborhood_init.add_neighborhoods(
        tables,
        files=[path],
        schema=_SCHEMA,
        relation_weights=_WEIGHTS,
        num_hops=_HOPS,
        norm=_NORM,
        # Seven rows: several lookups, and not as many on every rank.
        max_lookup_bytes=7 * 4 * _DIM,
        job=Job(
            rank=dist.get_rank(),
            world_size=world_size,
            device=torch.device("cpu"),
            group=dist.group.WORLD if world_size > 1 else None,
        ),
    )
    return before, _look_up(tables)


def _look_up(tables: EntityTables) -> Tensor:
    rows = {"user": torch.arange(_NUM_USERS), "item": torch.arange(_NUM_ITEMS)}
    return torch.cat([found.detach() for found in tables.lookup(rows).values()])


@pytest.mark.parametrize("dtype", Dtype)
@pytest.mark.parametrize(
    ("world_size", "sharding"),
    [(1, Sharding.ROW_WISE), *((2, sharding) for sharding in Sharding)],
)
def test_rows_are_those_of_the_dense_reference(
    tmp_path: Path, world_size: int, sharding: Sharding, dtype: Dtype
) -> None:
    path = _write(tmp_path / "edges.parquet")

    results = run_ranks(_start, world_size, path, sharding, dtype)

    for before, after in results:
        expected = _reference(before.double().numpy())
        tolerance = 1e-5 if dtype is Dtype.FLOAT32 else 5e-3
        np.testing.assert_allclose(after.numpy(), expected, atol=tolerance)
