# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks what a table's settings need, and what the messages name instead."""

import re
from typing import Any

import pytest
import torch

from twhin.config.settings import (
    Dtype,
    Kernel,
    OptimizerKind,
    Placement,
    Sharding,
)
from twhin.errors import ConfigError
from twhin.testing.step_settings import make_table
from twhin.training.table_rules import (
    UPDATE_RULES,
    bytes_per_row,
    check_projection,
    check_table,
)

_WHERE = "graph.entity_types['user'].table"
_ON_CPU = "needs a CUDA device, this one is 'cpu'; allowed:"
_FUSED = "'sgd', 'adagrad', 'rowwise_adagrad'"


def _check(device: str = "cpu", world_size: int = 2, **settings: Any) -> None:
    check_table(
        "user",
        make_table(**settings),
        embedding_dim=8,
        world_size=world_size,
        device=torch.device(device),
    )


def test_every_optimizer_has_a_rule() -> None:
    assert set(UPDATE_RULES) == set(OptimizerKind)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"optimizer": OptimizerKind.ADAM},
            f".optimizer: 'adam' {_ON_CPU} {_FUSED}, or 'adam' with kernel 'dense'",
        ),
        (
            {"optimizer": OptimizerKind.PARTIAL_ROWWISE_ADAM},
            f".optimizer: 'partial_rowwise_adam' {_ON_CPU} {_FUSED}",
        ),
        (
            {"optimizer": OptimizerKind.LAMB},
            f".optimizer: 'lamb' {_ON_CPU} {_FUSED}",
        ),
        ({"placement": Placement.UVM}, f".placement: 'uvm' {_ON_CPU} 'device'"),
        (
            {"placement": Placement.UVM_CACHING},
            f".placement: 'uvm_caching' {_ON_CPU} 'device'",
        ),
        (
            {"stochastic_rounding": True, "dtype": Dtype.FLOAT16},
            f".stochastic_rounding: True {_ON_CPU} False, which rounds to nearest",
        ),
    ],
)
def test_what_cuda_alone_has_is_an_error_on_the_cpu(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(_WHERE + message)}$"):
        _check(**settings)

    _check("cuda", **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"optimizer": OptimizerKind.ROWWISE_ADAGRAD},
            ".optimizer: 'rowwise_adagrad' has no dense kernel; allowed with kernel"
            " 'dense': 'sgd', 'adagrad', 'adam'",
        ),
        (
            {"dtype": Dtype.FLOAT16},
            ".dtype: 'float16' with kernel 'dense'; allowed: 'float32', or kernel"
            " 'fused'",
        ),
        (
            {"placement": Placement.UVM},
            ".placement: 'uvm' with kernel 'dense'; allowed: 'device', or kernel"
            " 'fused'",
        ),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_the_dense_kernel_lacks_is_an_error(
    device: str, settings: dict[str, Any], message: str
) -> None:
    dense = {"kernel": Kernel.DENSE, "optimizer": OptimizerKind.ADAM, **settings}

    with pytest.raises(ConfigError, match=f"^{re.escape(_WHERE + message)}$"):
        _check(device, **dense)


@pytest.mark.parametrize(
    "optimizer",
    [
        OptimizerKind.ROWWISE_ADAGRAD,
        OptimizerKind.PARTIAL_ROWWISE_ADAM,
        OptimizerKind.LAMB,
    ],
)
def test_columns_cannot_be_cut_where_the_update_needs_rows(
    optimizer: OptimizerKind,
) -> None:
    with pytest.raises(ConfigError, match=r"\.sharding: 'column_wise' cuts rows"):
        _check("cuda", sharding=Sharding.COLUMN_WISE, optimizer=optimizer)


def test_columns_must_divide_evenly() -> None:
    columns = {"sharding": Sharding.COLUMN_WISE, "optimizer": OptimizerKind.ADAGRAD}

    _check(world_size=2, **columns)
    with pytest.raises(ConfigError, match="divides 8 columns by 3 ranks"):
        _check(world_size=3, **columns)


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        ({"sharding": Sharding.COLUMN_WISE}, "'row_wise' or 'table_wise'"),
        ({"placement": Placement.UVM_CACHING}, "'uvm' or 'device'"),
    ],
)
def test_projection_needs_whole_and_current_rows(
    settings: dict[str, Any], allowed: str
) -> None:
    check_projection("user", make_table())

    with pytest.raises(ConfigError, match=f"allowed: {allowed}$"):
        check_projection("user", make_table(**settings))


@pytest.mark.parametrize(
    ("optimizer", "dtype", "expected"),
    [
        (OptimizerKind.SGD, Dtype.FLOAT32, 4 * 64),
        (OptimizerKind.ROWWISE_ADAGRAD, Dtype.FLOAT16, 2 * 64 + 4),
        (OptimizerKind.ADAGRAD, Dtype.FLOAT32, 4 * 64 + 4 * 64),
        (OptimizerKind.PARTIAL_ROWWISE_ADAM, Dtype.FLOAT32, 4 * 64 + 4 * 64 + 4),
        (OptimizerKind.ADAM, Dtype.FLOAT16, 2 * 64 + 8 * 64),
    ],
)
def test_bytes_of_a_row_have_its_state(
    optimizer: OptimizerKind, dtype: Dtype, expected: int
) -> None:
    assert bytes_per_row(make_table(optimizer=optimizer, dtype=dtype), 64) == expected
