# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A piece of an embedding table that lies in this process."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePart:
    """Contiguous rows of one table, as views: writing to them changes the table.

    Attributes:
      start: The row of the table that `rows[0]` is.
      rows: [n, d] float32 or float16, the embeddings; n may be 0.
      state: The optimizer's state by name; each [n] or [n, d] float32.
      column_start: The column of the table that `rows[:, 0]` is; 0 and d = D
        unless the table is divided by columns.
    """

    start: int
    rows: Tensor
    state: Mapping[str, Tensor]
    column_start: int = 0
