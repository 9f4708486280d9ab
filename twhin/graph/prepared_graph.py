# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A graph that is ready for training: prepared, or encoded by someone else."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from twhin.config import paths
from twhin.config.settings import EncodedEdges, EntityType, TrainConfig
from twhin.errors import DataError
from twhin.graph.edge_files import EdgeFiles
from twhin.graph.manifest import SPLITS, GraphManifest, load_manifest
from twhin.graph.prepare.input_files import find_files
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedGraph:
    """Edges as indices, with the schema that the indices belong to.

    Attributes:
      schema: Entity types with their numbers of rows, and relations.
      manifest: What a preparation reports; None for edges encoded elsewhere.
      folder: Where the vocabularies are; None for edges encoded elsewhere.
      files: The edge files of each split, absolute paths or URLs.
    """

    schema: GraphSchema
    manifest: GraphManifest | None
    folder: Path | None
    files: Mapping[str, tuple[str, ...]]

    @staticmethod
    def open(folder: str) -> "PreparedGraph":
        """Opens a folder that //twhin:prepare has written.

        Raises:
          DataError: The folder is not a complete prepared graph, or a file of it
            is missing or has another size.
        """
        manifest = load_manifest(folder)
        root = Path(folder)
        for split in manifest.splits.values():
            for file in split.files:
                _check_size(root / file.path, file.size_bytes)
        for vocabulary in manifest.vocabularies:
            for file in vocabulary.files:
                _check_size(root / file.path, file.size_bytes)
        return PreparedGraph(
            schema=manifest.schema,
            manifest=manifest,
            folder=root,
            files={
                name: tuple(str(root / file.path) for file in split.files)
                for name, split in manifest.splits.items()
            },
        )

    @staticmethod
    def from_encoded(settings: TrainConfig) -> "PreparedGraph":
        """Opens edges that are encoded already, without a vocabulary.

        Every entity type has as many rows as the configuration says.

        Raises:
          DataError: A path matches no file.
        """
        encoded = settings.data.encoded
        if encoded is None:
            raise DataError("data.encoded: missing; allowed: files of encoded edges")
        files = _encoded_files(encoded, settings.data.root)
        relations = tuple(
            RelationSchema(name=r.name, lhs=r.lhs, rhs=r.rhs)
            for r in settings.graph.relations
        )
        return PreparedGraph(
            schema=GraphSchema(
                entity_types=tuple(map(_sized, settings.graph.entity_types)),
                relations=relations,
            ),
            manifest=None,
            folder=None,
            files=files,
        )

    def edge_files(self, split: str) -> tuple[str, ...]:
        """Returns the files of "train", "valid" or "test"; none where it is empty."""
        return self.files[split]

    def load_vocabulary(self, entity_type: str) -> pa.Table:
        """Reads a vocabulary: `id` (int64 or string), `index`, `degree` (int64).

        Row i has index i. A row that rare entities share is not in it.

        Raises:
          DataError: The graph has no vocabulary, or its files are damaged.
        """
        if self.manifest is None or self.folder is None:
            raise DataError(
                "data.encoded: has no vocabulary; allowed: a graph that //twhin:prepare"
                " has written"
            )
        vocabulary = self.manifest.vocabulary(entity_type)
        id_type = pa.string() if vocabulary.id_type == "string" else pa.int64()
        kinds = {"id": id_type, "index": pa.int64(), "degree": pa.int64()}
        try:
            tables = [
                pq.read_table(self.folder / file.path).cast(pa.schema(kinds))
                for file in vocabulary.files
            ]
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"{self.folder}: the vocabulary of {entity_type!r} cannot be read"
                f" ({error}); allowed: complete files"
            ) from error
        return pa.concat_tables(tables)

    def load_degrees(self, entity_type: str) -> npt.NDArray[np.int64]:
        """Reads the number of training edges of each row.

        Returns:
          [num_entities] int64. For encoded edges they are counted from the files;
          there, an edge counts at both ends.

        Raises:
          DataError: A file is damaged.
        """
        degrees = np.zeros(self.schema.num_entities(entity_type), dtype=np.int64)
        if self.manifest is None:
            self._count_degrees(entity_type, degrees)
            return degrees
        vocabulary = self.manifest.vocabulary(entity_type)
        column = self.load_vocabulary(entity_type)["degree"]
        degrees[: vocabulary.num_ids] = column.to_numpy()
        if vocabulary.shared_row is not None:
            degrees[vocabulary.shared_row] = vocabulary.shared_row_degree
        return degrees

    def _count_degrees(self, entity_type: str, degrees: npt.NDArray[np.int64]) -> None:
        sides = {
            side: np.array(
                [getattr(r, side) == entity_type for r in self.schema.relations]
            )
            for side in ("lhs", "rhs")
        }
        files = EdgeFiles(self.files["train"], self.schema)
        for row_group in files.row_groups:
            columns = files.read(row_group)
            for side, is_of_type in sides.items():
                rows = getattr(columns, side)[is_of_type[columns.rel]]
                degrees += np.bincount(rows, minlength=len(degrees))


def _sized(entity_type: EntityType) -> EntityTypeSchema:
    # A configuration with encoded edges and without sizes is not valid.
    assert entity_type.num_entities is not None
    return EntityTypeSchema(
        name=entity_type.name, num_entities=entity_type.num_entities
    )


def _check_size(path: Path, size_bytes: int) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); allowed: the files that the"
            " manifest names"
        ) from error
    if found != size_bytes:
        raise DataError(
            f"{path}: has {found} bytes; allowed: {size_bytes}, as the manifest says"
        )


def _encoded_files(encoded: EncodedEdges, root: str) -> dict[str, tuple[str, ...]]:
    return {
        split: tuple(
            file
            for index, path in enumerate(getattr(encoded, split))
            for file in find_files(
                paths.join(root, path), f"data.encoded.{split}[{index}]"
            )
        )
        for split in SPLITS
    }
