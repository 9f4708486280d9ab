# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A graph that is ready for training: prepared, or encoded by someone else."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twhin.config import paths
from twhin.config.settings import EncodedEdges, TrainConfig
from twhin.errors import DataError
from twhin.graph.manifest import SPLITS, GraphManifest, load_manifest
from twhin.graph.prepare.input_files import find_files
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema

_BATCH_ROWS = 1 << 18


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

        The rows of an entity type are those that the configuration says, otherwise
        the largest index of its edges + 1.

        Raises:
          DataError: A path matches no file, or a file cannot be read.
        """
        encoded = settings.data.encoded
        if encoded is None:
            raise DataError("data.encoded: missing; allowed: files of encoded edges")
        files = _encoded_files(encoded, settings.data.root)
        relations = tuple(
            RelationSchema(name=r.name, lhs=r.lhs, rhs=r.rhs)
            for r in settings.graph.relations
        )
        sizes = {t.name: t.num_entities for t in settings.graph.entity_types}
        if None in sizes.values():
            found = _count_rows([f for each in files.values() for f in each], relations)
            sizes = {
                name: found.get(name, 0) if size is None else size
                for name, size in sizes.items()
            }
        return PreparedGraph(
            schema=GraphSchema(
                entity_types=tuple(
                    EntityTypeSchema(name=name, num_entities=size or 0)
                    for name, size in sizes.items()
                ),
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
        for file in self.files["train"]:
            for batch in _read_batches(file):
                for side, rows in _rows_by_type(batch, self.schema.relations, file):
                    if side == entity_type:
                        _check_bound(file, entity_type, rows, len(degrees))
                        degrees += np.bincount(rows, minlength=len(degrees))


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


def _count_rows(
    files: list[str], relations: tuple[RelationSchema, ...]
) -> dict[str, int]:
    """Returns the largest index + 1 of each entity type."""
    sizes: dict[str, int] = {}
    for file in files:
        for batch in _read_batches(file):
            for name, rows in _rows_by_type(batch, relations, file):
                if len(rows):
                    sizes[name] = max(sizes.get(name, 0), int(rows.max()) + 1)
    return sizes


def _rows_by_type(
    batch: pa.RecordBatch, relations: tuple[RelationSchema, ...], file: str
) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """Returns the indices of each relation and side of a batch, with their type."""
    rel = _to_numpy(batch, "rel", file)
    found = []
    for index in np.unique(rel):
        if not 0 <= index < len(relations):
            raise DataError(
                f"{file}: column 'rel' has the value {int(index)}; allowed: 0 to"
                f" {len(relations) - 1}"
            )
        is_relation = rel == index
        relation = relations[index]
        found.append((relation.lhs, _to_numpy(batch, "lhs", file)[is_relation]))
        found.append((relation.rhs, _to_numpy(batch, "rhs", file)[is_relation]))
    return found


def _to_numpy(batch: pa.RecordBatch, column: str, file: str) -> npt.NDArray[np.int64]:
    values = batch.column(column)
    if values.null_count:
        raise DataError(f"{file}: column {column!r} has a null; allowed: no null")
    array: npt.NDArray[np.int64] = pc.cast(values, pa.int64()).to_numpy()
    return array


def _check_bound(
    file: str, entity_type: str, rows: npt.NDArray[np.int64], bound: int
) -> None:
    if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= bound):
        wrong = int(rows.min()) if int(rows.min()) < 0 else int(rows.max())
        raise DataError(
            f"{file}: index {wrong} of entity type {entity_type!r}; allowed: 0 to"
            f" {bound - 1}"
        )


def _read_batches(file: str) -> Iterator[pa.RecordBatch]:
    try:
        with fsspec.open(file, "rb") as stream:
            yield from pq.ParquetFile(stream).iter_batches(
                _BATCH_ROWS, columns=["lhs", "rel", "rhs"]
            )
    except (OSError, KeyError, pa.ArrowException) as error:
        raise DataError(
            f"{file}: cannot be read ({error}); allowed: parquet with the columns 'lhs',"
            " 'rel', 'rhs'"
        ) from error
