# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A generated graph for measurements of training: encoded edges of any size."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

_ROW_GROUP_EDGES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The size of the graph, and how it is trained.

    Attributes:
      num_entities: Entities over all types.
      num_edges: Training edges.
      num_relations: Relations, divided over the pairs of entity types.
      num_entity_types: Entity types of equal size.
      dim: Embedding dimension.
      num_negatives: Negatives of an edge on each side.
    """

    num_entities: int
    num_edges: int
    num_relations: int
    num_entity_types: int
    dim: int
    num_negatives: int

    @property
    def type_size(self) -> int:
        """The number of entities of one type."""
        return self.num_entities // self.num_entity_types

    def relation_types(self) -> list[tuple[str, str]]:
        """Returns the entity types of both sides of each relation."""
        count = self.num_entity_types
        return [
            (f"type{r % count}", f"type{(r // count + r) % count}")
            for r in range(self.num_relations)
        ]

    def edges(self) -> Iterator[tuple[NDArray[np.int64], ...]]:
        """Yields (lhs, rel, rhs); both sides skewed, always the same."""
        draw = np.random.default_rng(0)
        for start in range(0, self.num_edges, _ROW_GROUP_EDGES):
            count = min(_ROW_GROUP_EDGES, self.num_edges - start)
            rel = draw.integers(0, self.num_relations, count)
            lhs, rhs = (
                (draw.random(count) ** 2 * self.type_size).astype(np.int64)
                for _ in range(2)
            )
            yield lhs, rel, rhs

    def write(self, folder: Path) -> Path:
        """Writes edges and a configuration; returns the configuration's path."""
        folder.mkdir(parents=True, exist_ok=True)
        schema = pa.schema([(name, pa.int64()) for name in ("lhs", "rel", "rhs")])
        with pq.ParquetWriter(folder / "train.parquet", schema) as writer:
            for columns in self.edges():
                writer.write_table(pa.table(list(columns), schema=schema))
        path = folder / "config.yaml"
        path.write_text(yaml.safe_dump(self._config(), sort_keys=False))
        return path

    def _config(self) -> dict[str, object]:
        return {
            "graph": {
                "entity_types": [
                    {"name": f"type{i}", "num_entities": self.type_size}
                    for i in range(self.num_entity_types)
                ],
                "relations": [
                    {"name": f"relation{r}", "lhs": lhs, "rhs": rhs}
                    for r, (lhs, rhs) in enumerate(self.relation_types())
                ],
            },
            "data": {"encoded": {"train": "train.parquet"}},
            "model": {
                "embedding_dim": self.dim,
                "comparator": "dot",
                "reciprocal": True,
            },
            "negatives": {"num_uniform": self.num_negatives},
            "training": {"num_epochs": 1, "log_interval_steps": 20},
            "evaluation": {"link_prediction": False, "interval_epochs": 0},
        }
