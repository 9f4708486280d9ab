# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What evaluation needs of the embedding tables, wherever they lie."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor


class TableBlock(Protocol):
    """Consecutive rows of one table that lie in this process."""

    @property
    def start(self) -> int:
        """The row of the table that `rows[0]` is."""
        ...

    @property
    def rows(self) -> Tensor:
        """[n, d] float32 or float16; d < D where a table is divided by columns."""
        ...


class TableBlocks(Protocol):
    """One table for each entity type, divided over the ranks in any way."""

    @property
    def embedding_dim(self) -> int:
        """D, the same for all tables."""
        ...

    def lookup(self, rows: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Returns embeddings; a collective.

        Args:
          rows: For every entity type [n] int64, n may be 0.

        Returns:
          For every entity type [n, D] float32.
        """
        ...

    def local_blocks(self, entity_type: str) -> Sequence[TableBlock]:
        """Returns this rank's part of a table, as views; it may be empty."""
        ...
