# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that sharded tables are the plain ones, at 1 rank and at 2."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from fbgemm_gpu.split_table_batched_embeddings_ops_common import PoolingMode
from torch import Tensor

from twhin.config.settings import (
    Dtype,
    Kernel,
    OptimizerKind,
    Placement,
    Projection,
    Sharding,
    Table,
)
from twhin.errors import ConfigError
from twhin.graph.schema import EntityTypeSchema, GraphSchema
from twhin.testing.dense_tables import DenseTables
from twhin.testing.ranks import run_ranks
from twhin.testing.step_settings import make_optimizer, make_table
from twhin.training.entity_tables import EntityTables
from twhin.training.parallel_table_kernel import is_parallel

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

_FUSED_TABLES = {n: t for n, t in _TABLES.items() if t.kernel is Kernel.FUSED}
_WIDEST = "dense_adam_row_wise"
_WHOLE_ROWS = [
    "rowwise_adagrad_float16_row_wise",
    "sgd_float32_table_wise",
    "dense_adam_row_wise",
]
_PROJECTIONS = [Projection.UNIT_NORM, Projection.MAX_NORM]
_COLUMNS = {"sharding": Sharding.COLUMN_WISE, "optimizer": OptimizerKind.ADAGRAD}


def _make(tables: dict[str, Table]) -> EntityTables:
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
        tables.set_learning_rate_factor(1.0 / (1 + step))
        found = tables.lookup(_lookups(step, rank))
        _loss(found, step, rank).backward()  # type: ignore[no-untyped-call]
        tables.step()
    return _parts(tables, list(_TABLES))


def _trace_kernels(tables: EntityTables) -> list[tuple[PoolingMode, bool]]:
    """Notes for each call of a kernel its mode, and whether bags are of one row."""
    calls = []

    def note(
        kernel: torch.nn.Module, args: tuple[Any, ...], arguments: dict[str, Any]
    ) -> None:
        rows, offsets = arguments["indices"], arguments["offsets"]
        is_one = torch.equal(offsets, torch.arange(len(rows) + 1))
        calls.append((kernel.pooling_mode, is_one))

    for module in tables._model.modules():
        for lookup in getattr(module, "_lookups", []):
            for embedding in lookup._emb_modules:
                embedding.emb_module.register_forward_pre_hook(note, with_kwargs=True)
    return calls


def _trace_lookup() -> list[tuple[PoolingMode, bool]]:
    tables = _make(_FUSED_TABLES)
    calls = _trace_kernels(tables)
    rows = _lookups(0, dist.get_rank())
    tables.lookup({name: rows[name] for name in _FUSED_TABLES})
    return calls


def _project(projection: Projection) -> dict[str, list[Any]]:
    """Trains for a step on rows 0 and 2, and projects."""
    tables = {name: _TABLES[name] for name in _WHOLE_ROWS}
    model = _make(tables)
    model.record_touched_rows()
    for name in tables:
        for part in model.local_blocks(name):
            part.rows.mul_(torch.tensor(0.1 if part.start else 10.0))
    found = model.lookup(dict.fromkeys(tables, torch.tensor([2, 0, 2])))
    _loss(found, 0, 0).backward()  # type: ignore[no-untyped-call]
    model.step()
    model.project(projection, model.take_touched_rows())
    return _parts(model, list(tables))


def _run_all() -> dict[str, Any]:
    """Returns what this rank sees of everything: starting processes takes long."""
    return {
        "initial": _parts(_make(_TABLES), list(_TABLES)),
        "trained": _train(),
        "calls": _trace_lookup(),
        **{projection: _project(projection) for projection in _PROJECTIONS},
    }


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


def _assemble(ranks: list[dict[str, Any]], what: str, name: str) -> dict[str, Tensor]:
    """Puts the parts of a table together, "rows" and each state."""
    parts = [part for rank in ranks for part in rank[what][name]]
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


@pytest.fixture(scope="module", params=[1, 2])
def ranks(request: pytest.FixtureRequest, one_rank: None) -> list[dict[str, Any]]:
    """What each rank sees, of 1 rank and of 2."""
    return [_run_all()] if request.param == 1 else run_ranks(_run_all, request.param)


@pytest.fixture(scope="module")
def initial_rows(one_rank: None) -> dict[str, Tensor]:
    """Returns the rows of one rank before training."""
    initial = {"initial": _parts(_make(_TABLES), list(_TABLES))}
    return {name: _assemble([initial], "initial", name)["rows"] for name in _TABLES}


@pytest.fixture(scope="module")
def dense(ranks: list[dict[str, Any]], initial_rows: dict[str, Tensor]) -> DenseTables:
    """Plain tables that have seen the same as the ranks."""
    return _train_dense(initial_rows, len(ranks))


@pytest.mark.parametrize("name", _TABLES)
def test_table_and_state_equal_the_plain_ones(
    ranks: list[dict[str, Any]], dense: DenseTables, name: str
) -> None:
    # Sums in another order may round a float16 the other way.
    tolerance = 1e-5 if _TABLES[name].dtype is Dtype.FLOAT32 else 2e-3

    whole = _assemble(ranks, "trained", name)

    torch.testing.assert_close(
        whole.pop("rows"), dense.rows[name].float(), rtol=tolerance, atol=tolerance
    )
    assert whole.keys() == dense.state[name].keys()
    for key, values in whole.items():
        torch.testing.assert_close(
            values, dense.state[name][key], rtol=tolerance, atol=tolerance
        )


def test_rows_are_looked_up_as_bags_of_one_on_the_cpu(
    ranks: list[dict[str, Any]],
) -> None:
    calls = [call for rank in ranks for call in rank["calls"]]
    # One rank looks these up without fbgemm.
    others = [
        table
        for table in _FUSED_TABLES.values()
        if len(ranks) == 1 and is_parallel(table, _CPU)
    ]

    assert len(calls) >= len(_FUSED_TABLES) - len(others)
    assert set(calls) == {(PoolingMode.SUM, True)}


def test_initial_rows_do_not_depend_on_the_ranks(
    ranks: list[dict[str, Any]], initial_rows: dict[str, Tensor]
) -> None:
    for name, rows in initial_rows.items():
        assert torch.equal(_assemble(ranks, "initial", name)["rows"], rows), name


@pytest.mark.parametrize("projection", _PROJECTIONS)
def test_projection_moves_touched_rows_and_all_of_a_dense_table(
    ranks: list[dict[str, Any]], projection: Projection
) -> None:
    for name in _WHOLE_ROWS:
        norms = _assemble(ranks, projection, name)["rows"].norm(dim=1)
        torch.testing.assert_close(
            norms[[0, 2]], torch.ones(2), rtol=1e-3, atol=1e-3, msg=name
        )
        if _TABLES[name].kernel is Kernel.DENSE:
            assert float(norms[1]) == pytest.approx(1.0, rel=1e-3), name
        else:
            assert float(norms[1]) > 2.0, name


def test_initial_rows_have_the_scale_and_differ_by_table_and_seed(
    initial_rows: dict[str, Tensor],
) -> None:
    drawn = torch.cat([rows.reshape(-1) for rows in initial_rows.values()])
    first, second = list(initial_rows.values())[-2:]

    assert float(drawn.std()) == pytest.approx(0.5, rel=0.03)
    assert abs(float(drawn.mean())) < 0.03
    assert not torch.equal(first, second[: len(first)])


def test_parts_are_views_of_the_tables(one_rank: None) -> None:
    tables = _make({_WIDEST: _TABLES[_WIDEST]})
    (part,) = tables.local_blocks(_WIDEST)

    part.rows[3] = 7.0

    found = tables.lookup({_WIDEST: torch.tensor([2, 3])})[_WIDEST]
    assert torch.equal(found[1].detach(), torch.full((_DIM,), 7.0))
    assert not torch.equal(found[0].detach(), torch.full((_DIM,), 7.0))


@pytest.mark.parametrize("row", [-1, _NUM_ROWS["dense_adam_row_wise"]])
@pytest.mark.parametrize("name", ["dense_adam_row_wise", "sgd_float32_row_wise"])
def test_row_out_of_range_is_an_error(one_rank: None, name: str, row: int) -> None:
    tables = _make({name: _TABLES[name]})

    with pytest.raises(IndexError, match=rf"'{name}': {row} is out of range; allowed"):
        tables.lookup({name: torch.tensor([0, row])})


def test_number_of_updates_continues_after_a_checkpoint(one_rank: None) -> None:
    """Adam's first step has the size of the rate, its 1000th that of the moments."""
    name = "dense_adam_row_wise"
    tables = _make({name: _TABLES[name]})
    (part,) = tables.local_blocks(name)
    part.rows.zero_()

    tables.set_step(999)
    found = tables.lookup({name: torch.tensor([0])})[name]
    found.sum().backward()  # type: ignore[no-untyped-call]
    tables.step()

    mean = 0.2 / (1 - 0.8**1000)
    root = (0.001 / (1 - 0.999**1000)) ** 0.5
    assert float(part.rows[0, 0]) == pytest.approx(-0.1 * mean / (root + 1e-3))
    assert float(part.rows[1, 0]) == 0.0


def test_table_cut_by_columns_cannot_be_projected(one_rank: None) -> None:
    tables = _make({_WIDEST: make_table(**_COLUMNS)})

    with pytest.raises(ConfigError, match="'column_wise' cuts rows"):
        tables.record_touched_rows()


def test_settings_that_the_device_lacks_are_an_error(one_rank: None) -> None:
    table = make_table(placement=Placement.UVM)

    with pytest.raises(ConfigError, match="'uvm' needs a CUDA device"):
        _make({_WIDEST: table})


def test_description_has_a_line_for_each_table_and_their_sum(one_rank: None) -> None:
    lines = _make({_WIDEST: make_table()}).describe()

    assert len(lines) == 2
    assert f"table={_WIDEST} rows={_NUM_ROWS[_WIDEST]} dim=8 dtype=float32" in lines[0]
    assert lines[1] == "tables=1 size_mib=0.0"
