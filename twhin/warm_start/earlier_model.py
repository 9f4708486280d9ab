# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The earlier model that training starts from, wherever it is stored."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twhin.graph.prepared_graph import PreparedGraph

RECIPROCAL = "_reciprocal"
"""What `RelationModel` puts behind the name of parameters for ranking the lhs."""

_BLOCK_ROWS = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRelation:
    """The parameters of a relation of an earlier model.

    Attributes:
      operator: The name of its operator.
      parameters: [P] float32; P is 0 for the identity.
      reciprocal: [P] float32, those for ranking the lhs; None without them.
      state: [P] each, by name the state of their optimizer, as far as it belongs
        to single parameters.
      reciprocal_state: The same of `reciprocal`.
    """

    operator: str
    parameters: Tensor
    reciprocal: Tensor | None
    state: Mapping[str, Tensor] = field(default_factory=dict)
    reciprocal_state: Mapping[str, Tensor] = field(default_factory=dict)


class EarlierModel(Protocol):
    """Rows, read in order and block by block, and relations of a model."""

    @property
    def embedding_dim(self) -> int:
        """D."""
        ...

    @property
    def relations(self) -> Mapping[str, EarlierRelation]:
        """The relations by name."""
        ...

    def num_rows(self, entity_type: str) -> int:
        """Returns the number of rows of a table; 0 where there is none."""
        ...

    def join(
        self, graph: PreparedGraph, entity_type: str, rows: range
    ) -> NDArray[np.int64]:
        """Returns the earlier row of each row of a graph, -1 where it is new.

        Raises:
          DataError: The ids of the two cannot be compared.
        """
        ...

    def read_rows(self, entity_type: str, start: int, stop: int) -> Tensor:
        """Returns rows of a table, [stop - start, D] float32 or float16."""
        ...

    def state_names(self, entity_type: str) -> tuple[str, ...]:
        """Returns the names of the stored states of a table's optimizer."""
        ...

    def read_state(self, entity_type: str, name: str, start: int, stop: int) -> Tensor:
        """Returns a state of rows, [stop - start] or [stop - start, D]."""
        ...


class NoModel:
    """An `EarlierModel` that has nothing: all entities and relations are new.

    Attributes:
      embedding_dim: D.
      relations: None.
    """

    def __init__(self, embedding_dim: int) -> None:
        """Pretends to have vectors of D numbers."""
        self.embedding_dim = embedding_dim
        self.relations: Mapping[str, EarlierRelation] = {}

    def num_rows(self, entity_type: str) -> int:
        """Returns 0."""
        return 0

    def join(
        self, graph: PreparedGraph, entity_type: str, rows: range
    ) -> NDArray[np.int64]:
        """Returns -1 for every row."""
        return np.full(len(rows), -1, dtype=np.int64)

    def read_rows(self, entity_type: str, start: int, stop: int) -> Tensor:
        """Raises KeyError: there are no rows."""
        raise KeyError(entity_type)

    def state_names(self, entity_type: str) -> tuple[str, ...]:
        """Returns nothing."""
        return ()

    def read_state(self, entity_type: str, name: str, start: int, stop: int) -> Tensor:
        """Raises KeyError: there is none."""
        raise KeyError(name)


class ReadRange(Protocol):
    """Returns values of the rows from `start` to before `stop`."""

    def __call__(self, start: int, stop: int) -> Tensor:
        """Returns [stop - start] or [stop - start, D]."""
        ...


def visit_rows(
    read: ReadRange, num_rows: int, wanted: NDArray[np.int64]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Reads wanted rows of a table in one pass, block by block.

    Memory: a block of 32,768 rows, and 16 bytes for each wanted one.

    Args:
      read: Reads a range of the table.
      num_rows: The number of rows of the table.
      wanted: [n] rows in any order, repeated ones too; -1 for none.

    Yields:
      Places in `wanted` [k] int64, and the values there, [k] or [k, D]. Blocks
      that nobody wants are not read.
    """
    order = np.argsort(wanted, kind="stable")
    low = int(np.searchsorted(wanted, 0, sorter=order))
    for start in range(0, num_rows, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, num_rows)
        high = int(np.searchsorted(wanted, stop, sorter=order))
        if low < high:
            places = order[low:high]
            block = read(start, stop)
            local = torch.from_numpy(wanted[places] - start)
            yield torch.from_numpy(places), block[local]
        low = high
