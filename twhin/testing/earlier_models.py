# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""An earlier model in memory, for tests of what a warm start leads to."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twhin.checkpoint.table_part import TablePart
from twhin.graph.prepared_graph import PreparedGraph
from twhin.training.job import Job
from twhin.warm_start.earlier_model import EarlierRelation
from twhin.warm_start.join import JoinedPart

ALONE = Job(rank=0, world_size=1, device=torch.device("cpu"), group=None)


class ModelInMemory:
    """An `EarlierModel` whose vectors are given; without ids and states."""

    def __init__(self, vectors: Mapping[str, Tensor]) -> None:
        """Takes [rows, D] by entity type."""
        self._vectors = vectors
        self.embedding_dim = next(iter(vectors.values())).shape[1]
        self.relations: Mapping[str, EarlierRelation] = {}

    def num_rows(self, entity_type: str) -> int:
        """Returns the number of rows of a table."""
        return len(self._vectors[entity_type])

    def join(
        self, graph: PreparedGraph, entity_type: str, rows: range
    ) -> NDArray[np.int64]:
        """Raises NotImplementedError: there are no ids."""
        raise NotImplementedError

    def read_rows(self, entity_type: str, start: int, stop: int) -> Tensor:
        """Returns rows of a table."""
        return self._vectors[entity_type][start:stop]

    def state_names(self, entity_type: str) -> tuple[str, ...]:
        """Returns nothing."""
        return ()

    def read_state(self, entity_type: str, name: str, start: int, stop: int) -> Tensor:
        """Raises KeyError: there is none."""
        raise KeyError(name)


def join_for_test(
    entity_type: str, rows: Tensor, earlier_rows: list[int], *, column_start: int = 0
) -> JoinedPart:
    """Returns rows joined as given."""
    return JoinedPart(
        entity_type=entity_type,
        part=TablePart(start=0, rows=rows, state={}, column_start=column_start),
        earlier_rows=np.array(earlier_rows, dtype=np.int64),
    )
