# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Compares updates by several threads with fbgemm's own, bit by bit."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from twhin.config.settings import Dtype, Kernel, OptimizerKind
from twhin.graph.schema import EntityTypeSchema, GraphSchema
from twhin.testing.table_settings import make_optimizer, make_table
from twhin.training import entity_tables
from twhin.training.entity_tables import EntityTables
from twhin.training.parallel_table_kernel import ParallelTableKernel, is_parallel

_NUM_ROWS, _DIM = 50, 8


@pytest.fixture(autouse=True)
def one_rank(tmp_path: Path) -> Iterator[None]:
    """Joins a job of one rank, and restores the number of threads."""
    num_threads = torch.get_num_threads()
    dist.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1
    )
    yield
    dist.destroy_process_group()
    torch.set_num_threads(num_threads)


def _make() -> EntityTables:
    schema = GraphSchema(
        entity_types=(EntityTypeSchema(name="a", num_entities=_NUM_ROWS),),
        relations=(),
    )
    return EntityTables(
        schema=schema,
        tables={"a": make_table()},
        embedding_dim=_DIM,
        optimizer=make_optimizer(),
        device=torch.device("cpu"),
    )


def _train(num_threads: int) -> list[Tensor]:
    """Returns all that was looked up in some steps, then rows and state."""
    torch.set_num_threads(num_threads)
    tables = _make()
    tables.initialize(init_scale=0.1, seed=0)
    generator = torch.Generator().manual_seed(0)
    seen = []
    for num_rows in (30, 0, 80):
        rows = torch.randint(0, _NUM_ROWS, (num_rows,), generator=generator)
        found = tables.lookup({"a": rows})["a"]
        seen.append(found.detach().clone())
        factors = torch.randn(found.shape, generator=generator)
        (found * factors).sum().backward()  # type: ignore[no-untyped-call]
        tables.set_learning_rate_factor(0.5)
    (part,) = tables.local_blocks("a")
    return [*seen, part.rows.clone(), *(s.clone() for s in part.state.values())]


@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_threads_do_what_the_kernel_of_fbgemm_does(
    num_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parallel = _train(num_threads)
    monkeypatch.setattr(entity_tables, "is_parallel", lambda table, device: False)
    plain = _train(num_threads)

    assert len(parallel) == 5
    for ours, theirs in zip(parallel, plain, strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(parallel[2], parallel[0][:1].expand(80, _DIM))


def test_row_out_of_range_is_an_error() -> None:
    with pytest.raises(IndexError):
        _make().lookup({"a": torch.tensor([_NUM_ROWS])})


def test_errors_of_threads_are_raised() -> None:
    (kernel,) = _make()._kernels["a"]
    assert isinstance(kernel, ParallelTableKernel)

    with pytest.raises(RuntimeError):
        kernel.update(torch.tensor([0, 1]), torch.zeros(2, _DIM, dtype=torch.int64))


@pytest.mark.parametrize(
    ("optimizer", "dtype", "device", "expected"),
    [
        (OptimizerKind.ROWWISE_ADAGRAD, Dtype.FLOAT32, "cpu", True),
        (OptimizerKind.ADAGRAD, Dtype.FLOAT32, "cpu", False),
        (OptimizerKind.ROWWISE_ADAGRAD, Dtype.FLOAT16, "cpu", False),
        (OptimizerKind.ROWWISE_ADAGRAD, Dtype.FLOAT32, "cuda", False),
    ],
)
def test_is_parallel_says_what_is_served(
    optimizer: OptimizerKind, dtype: Dtype, device: str, expected: bool
) -> None:
    table = make_table(optimizer=optimizer, dtype=dtype, kernel=Kernel.FUSED)

    assert is_parallel(table, torch.device(device)) == expected
