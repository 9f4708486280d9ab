# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Compares updates by several threads with fbgemm's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from twhin.config.settings import Dtype, Kernel, OptimizerKind
from twhin.cpu import threads
from twhin.graph.schema import EntityTypeSchema, GraphSchema
from twhin.testing.step_settings import make_optimizer, make_table
from twhin.testing.torch_threads import torch_threads
from twhin.training import entity_tables
from twhin.training.entity_tables import EntityTables
from twhin.training.parallel_table_kernel import is_parallel

_NUM_ROWS, _DIM = 50, 8


@pytest.fixture(autouse=True)
def one_rank(tmp_path: Path) -> Iterator[None]:
    """Joins a job of one rank."""
    dist.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1
    )
    yield
    dist.destroy_process_group()


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
    tables = _make()
    tables.initialize(init_scale=0.1, seed=0)
    generator = torch.Generator().manual_seed(0)
    seen = []
    for step, num_rows in enumerate((30, 0, 80, 20_000)):
        tables.set_learning_rate_factor(1.0 / (1 + step))
        rows = torch.randint(0, _NUM_ROWS, (num_rows,), generator=generator)
        with torch_threads(num_threads), threads.taken_over():
            found = tables.lookup({"a": rows})["a"]
            seen.append(found.detach().clone())
            factors = torch.randn(found.shape, generator=generator)
            (found * factors).sum().backward()  # type: ignore[no-untyped-call]
    (part,) = tables.local_blocks("a")
    return [*seen, part.rows.clone(), *(s.clone() for s in part.state.values())]


def test_updates_are_those_of_the_kernel_of_fbgemm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parallel = _train(num_threads=2)
    monkeypatch.setattr(entity_tables, "is_parallel", lambda table, device: False)
    plain = _train(num_threads=2)

    assert len(parallel) == 6
    for ours, theirs in zip(parallel, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert not torch.equal(parallel[2], parallel[0][:1].expand(80, _DIM))


def test_updates_have_the_same_bits_for_any_number_of_threads() -> None:
    one, two, three = (_train(num_threads) for num_threads in (1, 2, 3))

    for a, b, c in zip(one, two, three, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


def test_row_out_of_range_is_an_error() -> None:
    with pytest.raises(IndexError):
        _make().lookup({"a": torch.tensor([_NUM_ROWS])})


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
