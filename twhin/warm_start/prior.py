# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Holds rows at, or near, the vectors that a warm start gave them."""

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from twhin.checkpoint.table_part import TablePart
from twhin.config.settings import FrozenRows, Table
from twhin.warm_start.earlier_model import EarlierModel
from twhin.warm_start.join import JoinedPart
from twhin.warm_start.kept_rows import visit_kept_rows


class Prior:
    """The earlier vectors of kept rows, and what pulls the rows to them.

    After each step a row x that it touched, with the prior p, becomes

        x <- x - 2 lr c (x - p)        c = `l2_to_prior`, and 2 lr c at most 1
        x <- p                         with frozen rows

    The pull does not pass through the optimizer: it is of equal strength for rows
    with many and with few updates behind them.

    Memory: the kept rows of tables with a prior once more, and 8 bytes a row.
    """

    def __init__(
        self,
        source: EarlierModel,
        joined: Sequence[JoinedPart],
        tables: Mapping[str, Table],
    ) -> None:
        """Reads the earlier vectors of the tables that need them.

        Args:
          source: The earlier model.
          joined: This rank's rows; at most one part for each table.
          tables: The settings of the tables by entity type.
        """
        self._parts = {
            one.entity_type: _PriorPart(source, one, tables[one.entity_type])
            for one in joined
            if needs_prior(tables[one.entity_type])
        }

    def apply(self, touched: Mapping[str, Tensor], factor: float) -> None:
        """Changes the rows that a step has touched.

        Args:
          touched: By entity type [n] int64, each row once, counted from the first
            row of this rank's part; types without an entry were not touched.
          factor: On the learning rates, that of the step.
        """
        for name, part in self._parts.items():
            if name in touched:
                part.apply(touched[name], factor)


class _PriorPart:
    """The prior of one part."""

    def __init__(self, source: EarlierModel, joined: JoinedPart, table: Table) -> None:
        self._table = table
        self._part: TablePart = joined.part
        kept = torch.from_numpy(joined.earlier_rows >= 0).to(joined.part.rows.device)
        # For each row of the part its place in `_vectors`; -1 for new rows.
        self._places = torch.where(kept, kept.cumsum(0) - 1, -1)
        rows = joined.part.rows
        self._vectors = rows.new_empty(int(kept.sum()), rows.shape[1])
        for places, values in visit_kept_rows(source, joined):
            self._vectors.index_copy_(0, self._places[places], values)

    def apply(self, touched: Tensor, factor: float) -> None:
        places = self._places[touched]
        is_kept = places >= 0
        touched, prior = touched[is_kept], self._vectors[places[is_kept]]
        rows = self._part.rows
        if self._table.frozen_rows is FrozenRows.KEPT:
            rows[touched] = prior
            return
        rate = 2 * factor * self._table.learning_rate * self._table.l2_to_prior
        moved = torch.lerp(rows[touched].float(), prior.float(), min(1.0, rate))
        rows[touched] = moved.to(rows.dtype)


def needs_prior(table: Table) -> bool:
    """Returns whether rows of a table are held at or near their prior."""
    if table.frozen_rows is FrozenRows.ALL:
        return False  # See `freeze_tables`.
    return table.l2_to_prior > 0 or table.frozen_rows is FrozenRows.KEPT


def freeze_tables(tables: Mapping[str, Table]) -> dict[str, Table]:
    """Returns the settings with which frozen tables are trained.

    A table with all rows frozen gets the learning rate 0, which leaves its rows
    as they are, bit by bit, and needs no copy of them.
    """
    return {
        name: dataclasses.replace(table, learning_rate=0.0)
        if table.frozen_rows is FrozenRows.ALL
        else table
        for name, table in tables.items()
    }
