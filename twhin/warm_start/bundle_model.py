# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A bundle as an earlier model."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twhin.graph import id_join
from twhin.graph.prepared_graph import PreparedGraph
from twhin.warm_start.earlier_model import EarlierRelation


class StoredTable(Protocol):
    """A table of a bundle."""

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        ...


class StoredRelation(Protocol):
    """A relation of a bundle."""

    @property
    def operator(self) -> str:
        """The name of the operator."""
        ...

    @property
    def parameters(self) -> NDArray[np.float32]:
        """[P] float32."""
        ...

    @property
    def reciprocal_parameters(self) -> NDArray[np.float32] | None:
        """[P] float32, or None."""
        ...


class StoredBundle(Protocol):
    """What is needed of `twhin.bundle.bundle.Bundle`, which this package cannot import."""

    dim: int

    @property
    def tables(self) -> Mapping[str, StoredTable]:
        """Tables by entity type."""
        ...

    @property
    def relations(self) -> Mapping[str, StoredRelation]:
        """Relations by name."""
        ...

    def find(self, entity_type: str, ids: Any) -> NDArray[np.int64]:
        """Returns the row of each id, -1 where unknown."""
        ...

    def vectors(self, entity_type: str, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Returns the embeddings of rows."""
        ...


class BundleModel:
    """An `EarlierModel` in a bundle, which has ids and no optimizer's state.

    Attributes:
      embedding_dim: D.
      relations: The relations by name.
    """

    def __init__(self, bundle: StoredBundle) -> None:
        """Takes over a bundle with all its shards."""
        self._bundle = bundle
        self.embedding_dim = bundle.dim
        self.relations: Mapping[str, EarlierRelation] = {
            name: EarlierRelation(
                operator=str(relation.operator),
                parameters=_to_tensor(relation.parameters),
                reciprocal=None
                if relation.reciprocal_parameters is None
                else _to_tensor(relation.reciprocal_parameters),
            )
            for name, relation in bundle.relations.items()
        }

    def num_rows(self, entity_type: str) -> int:
        """Returns the number of rows of a table; 0 where there is none."""
        table = self._bundle.tables.get(entity_type)
        return 0 if table is None else table.num_rows

    def join(
        self, graph: PreparedGraph, entity_type: str, rows: range
    ) -> NDArray[np.int64]:
        """Looks the ids of the graph up. A row of rare entities has no id: it is new.

        Raises:
          DataError: The graph has no vocabulary, or a damaged one.
        """
        found = np.full(len(rows), -1, dtype=np.int64)
        if self.num_rows(entity_type):
            for first, ids in id_join.iterate_ids(graph, entity_type, rows):
                place = first - rows.start
                found[place : place + len(ids)] = self._bundle.find(entity_type, ids)
        return found

    def read_rows(self, entity_type: str, start: int, stop: int) -> Tensor:
        """Returns rows of a table."""
        rows = np.arange(start, stop, dtype=np.int64)
        return torch.from_numpy(self._bundle.vectors(entity_type, rows))

    def state_names(self, entity_type: str) -> tuple[str, ...]:
        """Returns nothing: servers need no state."""
        return ()

    def read_state(self, entity_type: str, name: str, start: int, stop: int) -> Tensor:
        """Raises KeyError: there is none."""
        raise KeyError(name)


def _to_tensor(values: NDArray[np.float32]) -> Tensor:
    # Copied: the mapping is read-only, and a tensor cannot be.
    return torch.from_numpy(values.copy())
