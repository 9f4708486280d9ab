# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a table's kernels can do: update rules, their state, and what they need."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import torch
from torchrec import optim as torchrec_optim

from twhin.config.settings import (
    Dtype,
    Kernel,
    OptimizerKind,
    Placement,
    Sharding,
    Table,
)
from twhin.errors import ConfigError

# fbgemm reads rows in vectors of four elements.
_COLUMN_MULTIPLE = 4
_DTYPE_BYTES = {Dtype.FLOAT32: 4, Dtype.FLOAT16: 2}


class StateSize(Enum):
    """How many float32 numbers of a state there are."""

    PER_ROW = "per_row"
    PER_ELEMENT = "per_element"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRule:
    """What an optimizer keeps for a table, and what it is fused by.

    Attributes:
      state: The name and the size of each tensor of state, in fbgemm's order.
      fused: The class by which torchrec knows the fused kernel.
      needs_cuda: Whether the fused kernel exists for CUDA only.
      needs_whole_rows: Whether the update of an element depends on its whole row.
      has_dense: Whether the dense kernel has it too.
      has_moments: Whether it takes `beta1` and `beta2`.
      has_eps: Whether it takes `eps`.
    """

    state: Mapping[str, StateSize]
    fused: type[torch.optim.Optimizer]
    needs_cuda: bool = False
    needs_whole_rows: bool = False
    has_dense: bool = False
    has_moments: bool = False
    has_eps: bool = True


UPDATE_RULES: Mapping[OptimizerKind, UpdateRule] = {
    OptimizerKind.SGD: UpdateRule(
        state={}, fused=torchrec_optim.SGD, has_dense=True, has_eps=False
    ),
    OptimizerKind.ADAGRAD: UpdateRule(
        state={"sum": StateSize.PER_ELEMENT},
        fused=torchrec_optim.Adagrad,
        has_dense=True,
    ),
    OptimizerKind.ROWWISE_ADAGRAD: UpdateRule(
        state={"sum": StateSize.PER_ROW},
        fused=torchrec_optim.RowWiseAdagrad,
        needs_whole_rows=True,
    ),
    OptimizerKind.ADAM: UpdateRule(
        state={
            "exp_avg": StateSize.PER_ELEMENT,
            "exp_avg_sq": StateSize.PER_ELEMENT,
        },
        fused=torchrec_optim.Adam,
        needs_cuda=True,
        has_dense=True,
        has_moments=True,
    ),
    OptimizerKind.PARTIAL_ROWWISE_ADAM: UpdateRule(
        state={"exp_avg": StateSize.PER_ELEMENT, "exp_avg_sq": StateSize.PER_ROW},
        fused=torchrec_optim.PartialRowWiseAdam,
        needs_cuda=True,
        needs_whole_rows=True,
        has_moments=True,
    ),
    OptimizerKind.LAMB: UpdateRule(
        state={
            "exp_avg": StateSize.PER_ELEMENT,
            "exp_avg_sq": StateSize.PER_ELEMENT,
        },
        fused=torchrec_optim.LAMB,
        needs_cuda=True,
        needs_whole_rows=True,
        has_moments=True,
    ),
}
"""Every optimizer of a table."""


def bytes_per_row(table: Table, embedding_dim: int) -> int:
    """Returns the bytes of a row and of its optimizer's state."""
    sizes = {StateSize.PER_ROW: 4, StateSize.PER_ELEMENT: 4 * embedding_dim}
    state = sum(sizes[size] for size in UPDATE_RULES[table.optimizer].state.values())
    return embedding_dim * _DTYPE_BYTES[table.dtype] + state


def check_table(
    name: str,
    table: Table,
    *,
    embedding_dim: int,
    world_size: int,
    device: torch.device,
) -> None:
    """Checks that a table's settings go together, here.

    Args:
      name: The name of the table.
      table: Its settings.
      embedding_dim: D.
      world_size: The number of ranks.
      device: This rank's device.

    Raises:
      ConfigError: They do not; the message names what does.
    """
    where = f"graph.entity_types[{name!r}].table"
    if table.kernel is Kernel.DENSE:
        _check_dense(where, table)
    else:
        _check_fused(where, table, device)
    if table.sharding is Sharding.COLUMN_WISE:
        _check_columns(where, table, embedding_dim, world_size)


def check_projection(name: str, table: Table) -> None:
    """Checks that a table's rows can be projected.

    Raises:
      ConfigError: They cannot: no rank holds a whole and current row.
    """
    where = f"graph.entity_types[{name!r}].table"
    if table.sharding is Sharding.COLUMN_WISE:
        raise ConfigError(
            f"{where}.sharding: 'column_wise' cuts rows, which model.projection"
            " needs whole; allowed: 'row_wise' or 'table_wise'"
        )
    if table.placement is Placement.UVM_CACHING:
        raise ConfigError(
            f"{where}.placement: 'uvm_caching' keeps rows in a cache, which"
            " model.projection cannot reach; allowed: 'uvm' or 'device'"
        )


def _check_dense(where: str, table: Table) -> None:
    rule = UPDATE_RULES[table.optimizer]
    if not rule.has_dense:
        raise ConfigError(
            f"{where}.optimizer: {table.optimizer.value!r} has no dense kernel;"
            f" allowed with kernel 'dense': {_names(dense=True, cuda=True)}"
        )
    if table.dtype is not Dtype.FLOAT32:
        raise ConfigError(
            f"{where}.dtype: {table.dtype.value!r} with kernel 'dense';"
            " allowed: 'float32', or kernel 'fused'"
        )
    if table.placement is not Placement.DEVICE:
        raise ConfigError(
            f"{where}.placement: {table.placement.value!r} with kernel 'dense';"
            " allowed: 'device', or kernel 'fused'"
        )


def _check_fused(where: str, table: Table, device: torch.device) -> None:
    if device.type == "cuda":
        return
    if UPDATE_RULES[table.optimizer].needs_cuda:
        hint = ""
        if UPDATE_RULES[table.optimizer].has_dense:
            hint = f", or {table.optimizer.value!r} with kernel 'dense'"
        raise ConfigError(
            f"{where}.optimizer: {table.optimizer.value!r} needs a CUDA device, this"
            f" one is {device.type!r}; allowed:"
            f" {_names(dense=False, cuda=False)}{hint}"
        )
    if table.placement is not Placement.DEVICE:
        raise ConfigError(
            f"{where}.placement: {table.placement.value!r} needs a CUDA device, this"
            f" one is {device.type!r}; allowed: 'device'"
        )
    if table.stochastic_rounding:
        raise ConfigError(
            f"{where}.stochastic_rounding: True needs a CUDA device, this one is"
            f" {device.type!r}; allowed: False, which rounds to nearest"
        )


def _check_columns(
    where: str, table: Table, embedding_dim: int, world_size: int
) -> None:
    """Raises ConfigError where a table cannot be divided by columns."""
    if UPDATE_RULES[table.optimizer].needs_whole_rows:
        raise ConfigError(
            f"{where}.sharding: 'column_wise' cuts rows, which the optimizer"
            f" {table.optimizer.value!r} needs whole; allowed: 'row_wise' or"
            " 'table_wise', or the optimizer 'adagrad'"
        )
    if embedding_dim % (world_size * _COLUMN_MULTIPLE):
        raise ConfigError(
            f"{where}.sharding: 'column_wise' divides {embedding_dim!r} columns by"
            f" {world_size!r} ranks; allowed: a multiple of {_COLUMN_MULTIPLE} for"
            " each rank"
        )


def _names(*, dense: bool, cuda: bool) -> str:
    """Returns the optimizers of a kernel, for a message."""
    return ", ".join(
        repr(kind.value)
        for kind, rule in UPDATE_RULES.items()
        if (rule.has_dense if dense else cuda or not rule.needs_cuda)
    )
