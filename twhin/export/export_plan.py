# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What every step of an export needs: sources, settings, and this rank's share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from twhin.bundle.row_format import RowFormat
from twhin.config.settings import TrainConfig
from twhin.export.table_reader import TableReader
from twhin.export.work_folder import WorkFolder
from twhin.graph.prepared_graph import PreparedGraph
from twhin.scoring import Comparator

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """An export as one rank sees it.

    Attributes:
      folder: The folder of the version, on a disk that all ranks share.
      reader: The trained model.
      graph: The graph that it was trained on.
      settings: The configuration of the run.
      rank: This rank.
      world_size: The number of ranks.
      buffer_bytes: The bound on the rows that this rank holds at a time.
      unseen_edges: By entity type the edges of entities that were not trained.
    """

    folder: Path
    reader: TableReader
    graph: PreparedGraph
    settings: TrainConfig
    rank: int
    world_size: int
    buffer_bytes: int
    unseen_edges: Mapping[str, Path]

    @property
    def work(self) -> WorkFolder:
        """What ranks tell each other."""
        return WorkFolder(self.folder)

    @property
    def entity_types(self) -> tuple[str, ...]:
        """The names of the entity types, in the order of the schema."""
        return tuple(each.name for each in self.reader.schema.entity_types)

    @property
    def dim(self) -> int:
        """The dimension of the embeddings."""
        return self.settings.model.embedding_dim

    @property
    def num_shards(self) -> int:
        """The number of shards of every table."""
        return self.settings.export.num_shards

    @property
    def row_format(self) -> RowFormat:
        """How rows are stored."""
        return RowFormat(self.settings.export.row_format)

    @property
    def comparator(self) -> Comparator:
        """How a query is compared with candidates."""
        return self.settings.model.comparator

    def mine(self, values: Sequence[T]) -> Sequence[T]:
        """Returns the values that this rank works on; each goes to one rank."""
        return values[self.rank :: self.world_size]

    def my_shards(self, entity_type: str) -> list[int]:
        """Returns the shards of a table that this rank writes."""
        number = self.entity_types.index(entity_type)
        return [
            shard
            for shard in range(self.num_shards)
            if (number + shard) % self.world_size == self.rank
        ]
