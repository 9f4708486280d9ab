# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Entities of a type with their vectors: all of them, or an even sample."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twhin.checkpoint.reader import CheckpointReader
from twhin.evaluation.edges import Integers
from twhin.graph.prepared_graph import PreparedGraph

Floats = npt.NDArray[np.float32]

# A larger table is sampled: so many rows in so many blocks at even distances.
MAX_ROWS = 200_000
_NUM_BLOCKS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitySample:
    """n entities of one type.

    Attributes:
      entity_type: The type.
      num_entities: How many there are of it, at least n.
      rows: [n] int64, ascending.
      vectors: [n, D] float32.
      degrees: [num_entities] int64, the training edges of every entity.
    """

    entity_type: str
    num_entities: int
    rows: Integers
    vectors: Floats
    degrees: Integers

    @property
    def norms(self) -> Floats:
        """[n] float32, the lengths of the vectors."""
        norms: Floats = np.linalg.norm(self.vectors, axis=1).astype(np.float32)
        return norms

    @property
    def unit_vectors(self) -> Floats:
        """[n, D] float32, the vectors with length 1; zero ones stay zero."""
        lengths = np.maximum(self.norms, 1e-12).astype(np.float32)
        unit: Floats = self.vectors / lengths[:, None]
        return unit


def read_samples(
    reader: CheckpointReader, graph: PreparedGraph, *, max_rows: int = MAX_ROWS
) -> dict[str, EntitySample]:
    """Returns a sample of every entity type that has entities.

    Args:
      reader: The vectors.
      graph: The degrees.
      max_rows: The largest n.

    Raises:
      CheckpointError, DataError: A file is damaged.
    """
    return {
        each.name: _read_sample(reader, graph, each.name, each.num_entities, max_rows)
        for each in graph.schema.entity_types
        if each.num_entities
    }


def _read_sample(
    reader: CheckpointReader,
    graph: PreparedGraph,
    entity_type: str,
    num_entities: int,
    max_rows: int,
) -> EntitySample:
    blocks = [(0, num_entities)]
    if num_entities > max_rows:
        size = max(max_rows // _NUM_BLOCKS, 1)
        starts = np.linspace(0, num_entities - size, max_rows // size)
        starts = np.unique(starts.astype(np.int64) // size * size)
        blocks = [(int(start), int(start) + size) for start in starts]
    return EntitySample(
        entity_type=entity_type,
        num_entities=num_entities,
        rows=np.concatenate([np.arange(*block) for block in blocks]),
        vectors=np.concatenate(
            [reader.read_rows(entity_type, *block).float().numpy() for block in blocks]
        ),
        degrees=graph.load_degrees(entity_type),
    )


class EntityNames:
    """The ids of entities, as text."""

    def __init__(self, graph: PreparedGraph) -> None:
        """Reads a vocabulary when it is asked for."""
        self._graph = graph
        self._ids: dict[str, pa.ChunkedArray | None] = {}

    def __call__(self, entity_type: str, rows: Integers) -> list[str]:
        """Returns the id of each row; the row itself where edges came encoded.

        Raises:
          DataError: A vocabulary is damaged.
        """
        if entity_type not in self._ids:
            self._ids[entity_type] = self._load(entity_type)
        ids = self._ids[entity_type]
        if ids is None:
            return [f"row {row}" for row in rows.tolist()]
        return [
            str(ids[row].as_py()) if row < len(ids) else "rare entities"
            for row in rows.tolist()
        ]

    def _load(self, entity_type: str) -> pa.ChunkedArray | None:
        if self._graph.manifest is None:
            return None
        return self._graph.load_vocabulary(entity_type)["id"]
