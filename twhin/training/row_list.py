# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The rows that a step looks up, as they are found."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twhin.model.edge_group import Segment


class RowList:
    """Rows of each entity type, in segments."""

    def __init__(self, num_entities: Mapping[str, int]) -> None:
        """Starts without rows.

        Args:
          num_entities: The number of rows of each entity type's table, in the order
            of the schema.
        """
        self._num_entities = num_entities
        self._parts: dict[str, list[NDArray[np.int64]]] = {
            name: [] for name in num_entities
        }
        self._lengths = dict.fromkeys(num_entities, 0)
        self._all: dict[str, Segment] = {}

    def append(self, entity_type: str, rows: NDArray[np.int64]) -> Segment:
        """Adds rows [n], and returns where they are."""
        start = self._lengths[entity_type]
        self._parts[entity_type].append(rows)
        self._lengths[entity_type] += len(rows)
        return Segment(start=start, stop=start + len(rows))

    def append_all(self, entity_type: str) -> Segment:
        """Adds the rows of the whole table, once for all who need them."""
        if entity_type not in self._all:
            rows = np.arange(self._num_entities[entity_type])
            self._all[entity_type] = self.append(entity_type, rows)
        return self._all[entity_type]

    def concatenated(self) -> dict[str, Tensor]:
        """Returns the rows of every entity type, [n] int64."""
        return {
            name: torch.from_numpy(np.concatenate(parts))
            if parts
            else torch.empty(0, dtype=torch.int64)
            for name, parts in self._parts.items()
        }
