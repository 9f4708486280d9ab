# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Copies of a state, so that training goes on while they are written."""

import copy
from typing import Any

import torch
from torch import Tensor

from twhin.checkpoint.table_part import TablePart
from twhin.checkpoint.training_state import TrainingState


def num_table_bytes(state: TrainingState) -> int:
    """Returns the bytes of the table parts, with their optimizers' states."""
    return sum(
        tensor.nbytes
        for parts in state.tables.values()
        for part in parts
        for tensor in (part.rows, *part.state.values())
    )


def copy_state(state: TrainingState, *, with_tables: bool) -> TrainingState:
    """Returns a copy in host memory.

    Args:
      state: What to copy.
      with_tables: Whether table parts are copied; otherwise they are the same
        views as before.
    """
    return TrainingState(
        tables={
            name: [_copy_part(part) for part in parts] if with_tables else parts
            for name, parts in state.tables.items()
        },
        relations={name: _copy(values) for name, values in state.relations.items()},
        relation_optimizer=_copy_tree(state.relation_optimizer),
    )


def _copy_part(part: TablePart) -> TablePart:
    return TablePart(
        start=part.start,
        rows=_copy(part.rows),
        state={name: _copy(values) for name, values in part.state.items()},
        column_start=part.column_start,
    )


def _copy(values: Tensor) -> Tensor:
    return values.detach().to("cpu", copy=True)


def _copy_tree(value: Any) -> Any:
    """Copies nested dicts and lists of tensors and plain values."""
    if isinstance(value, torch.Tensor):
        return _copy(value)
    if isinstance(value, dict):
        return {key: _copy_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copy_tree(item) for item in value)
    return copy.deepcopy(value)
