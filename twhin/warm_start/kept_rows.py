# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Fills the rows of kept entities from an earlier model."""

from collections.abc import Iterator
from functools import partial

from torch import Tensor

from twhin.checkpoint.table_part import TablePart
from twhin.errors import ConfigError
from twhin.warm_start.earlier_model import EarlierModel, visit_rows
from twhin.warm_start.join import JoinedPart


def fill_kept_rows(source: EarlierModel, joined: JoinedPart) -> None:
    """Copies the vectors of kept entities; other rows stay."""
    for places, values in visit_kept_rows(source, joined):
        joined.part.rows.index_copy_(0, places, values)


def visit_kept_rows(
    source: EarlierModel, joined: JoinedPart
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields the earlier vectors of kept entities, block by block.

    Yields:
      Places in the part [k] int64 and the vectors of these rows [k, d], in the
      part's columns, dtype and device.
    """
    name, rows = joined.entity_type, joined.part.rows
    read = partial(source.read_rows, name)
    for places, values in visit_rows(read, source.num_rows(name), joined.earlier_rows):
        own = columns_of(joined.part, values)
        yield places.to(rows.device), own.to(rows.device, rows.dtype)


def fill_kept_states(source: EarlierModel, joined: JoinedPart) -> None:
    """Copies the optimizer's state of kept entities; other rows' stays.

    Raises:
      ConfigError: The earlier model had another optimizer.
    """
    name = joined.entity_type
    if not source.num_rows(name):
        return
    stored, wanted = source.state_names(name), sorted(joined.part.state)
    if sorted(stored) != wanted:
        raise ConfigError(
            f"warm_start.optimizer_state: the optimizer of {name!r} had the states"
            f" {sorted(stored)}, now it has {wanted}; allowed: the same optimizer, or"
            " false"
        )
    for kind, state in joined.part.state.items():
        read = partial(source.read_state, name, kind)
        for places, values in visit_rows(
            read, source.num_rows(name), joined.earlier_rows
        ):
            own = columns_of(joined.part, values) if values.dim() == 2 else values
            state.index_copy_(
                0, places.to(state.device), own.to(state.device, state.dtype)
            )


def columns_of(part: TablePart, values: Tensor) -> Tensor:
    """Returns those columns of [n, D] that a part holds."""
    return values[:, part.column_start : part.column_start + part.rows.shape[1]]
