# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""One version of the trained tables, memory-mapped."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from twhin.bundle import checksum, kinds, optional_loops, versions
from twhin.bundle.id_directory import EntityIds, IdDirectory, int64_array
from twhin.bundle.id_hash import Int64Array
from twhin.bundle.manifest import read_manifest
from twhin.bundle.mapped_file import MappedFile
from twhin.bundle.mapped_table import MappedTable
from twhin.bundle.relation import BundleRelation, read_relation
from twhin.errors import BundleError
from twhin.scoring import Comparator
from twhin.v1 import bundle_pb2, train_config_pb2

# The first shard, one past the last, and the number of all: (0, 4, 8).
ShardRange = tuple[int, int, int]


class Bundle:
    """The tables, ids and relations of a version. Immutable and thread-safe.

    Rows are those of the whole table, [0, num_rows), whatever shards are loaded;
    row -1 stands for an unknown id. A method given an unknown entity type raises
    `KeyError`.

    Attributes:
      version: The name of the version: "v000001".
      folder: Its folder.
      manifest: Its manifest; not to be changed.
      dim: The number of numbers of an embedding, D.
      comparator: How a query is compared with candidates.
      num_shards: The number of shards that tables are divided into.
      shards: The loaded ones.
      entity_types: The names of the entity types, in the order of the schema.
      tables: The loaded rows by entity type.
      directories: The ids by entity type; those of all rows.
      relations: The relations by name, in the order of their indices.
    """

    def __init__(
        self, folder: Path, manifest: bundle_pb2.BundleManifest, shards: range
    ) -> None:
        """Maps shards of a version; `open` is the usual way.

        Args:
          folder: The folder of the version.
          manifest: Its checked manifest.
          shards: The shards to load, a part of range(num_shards).

        Raises:
          BundleError: A file is missing or has the wrong size.
        """
        self.version = versions.version_name(manifest.version)
        self.folder = folder
        self.manifest = manifest
        self.dim = manifest.embedding_dim
        self.comparator = kinds.from_proto(
            Comparator, train_config_pb2.Comparator, manifest.comparator, "comparator"
        )
        self.num_shards = manifest.num_shards
        self.shards = shards
        self.tables: Mapping[str, MappedTable] = MappingProxyType(
            {
                table.entity_type: MappedTable(
                    folder, table, dim=self.dim, shards=shards
                )
                for table in manifest.tables
            }
        )
        self.entity_types = tuple(self.tables)
        self.directories: Mapping[str, IdDirectory] = MappingProxyType(
            {
                table.entity_type: IdDirectory(folder, table.ids, table.num_rows)
                for table in manifest.tables
            }
        )
        parameters = _map_parameters(folder, manifest)
        self.relations: Mapping[str, BundleRelation] = MappingProxyType(
            {r.name: read_relation(r, parameters) for r in manifest.relations}
        )

    @staticmethod
    def open(path: Path, *, shards: ShardRange | None = None) -> "Bundle":
        """Maps a version. Checks the manifest and all sizes, and reads no rows.

        Args:
          path: The root of the versions, for the one in use, or the folder of a
            version.
          shards: (first, end, total): shards first to before end of `total`, of
            which the bundle's number of shards must be a multiple; None for all.

        Raises:
          BundleError: There is no bundle, it is damaged, or cannot be divided so.
        """
        while True:
            folder = versions.version_folder(path)
            try:
                manifest = read_manifest(folder)
                return Bundle(folder, manifest, _shards(folder, manifest, shards))
            except BundleError:
                # An export may have switched and removed it meanwhile.
                if folder == versions.version_folder(path):
                    raise

    def find(self, entity_type: str, ids: EntityIds) -> Int64Array:
        """Returns the row of each id, -1 where unknown; see `IdDirectory.find`."""
        return self.directories[entity_type].find(ids)

    def lookup(
        self, entity_type: str, ids: EntityIds, *, dtype: npt.DTypeLike = np.float32
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Returns the embeddings of ids, and whether each is known and loaded.

        Args:
          entity_type: The entity type.
          ids: n ids; see `IdDirectory.find`.
          dtype: float32 or float16.

        Returns:
          [n, D] of `dtype`, zeros for what is not known, and [n] bool.

        Raises:
          TypeError: The ids are not of the type's kind.
        """
        directory, table = self.directories[entity_type], self.tables[entity_type]
        loops = optional_loops.row_loops()
        if (
            loops is None
            or not len(ids)
            or directory.is_string
            or not (table.num_rows and table.is_complete)
            or table.stored_dtype != dtype
        ):
            rows = directory.find(ids)
            found = table.holds(rows)
            return table.vectors(rows, dtype=dtype, held=found), found
        sought = int64_array(ids)
        values = np.empty((len(sought), self.dim), dtype)
        found = loops.lookup(
            sought, *directory.search, *table.layout, values.view(np.uint8)
        )
        return values, found

    def ids(self, entity_type: str, rows: npt.ArrayLike) -> npt.NDArray[Any]:
        """Returns the id of each row; see `IdDirectory.ids`."""
        return self.directories[entity_type].ids(rows)

    def holds(self, entity_type: str, rows: Int64Array) -> npt.NDArray[np.bool_]:
        """Returns whether each row is known and in a loaded shard; [n] bool."""
        return self.tables[entity_type].holds(rows)

    def vectors(
        self,
        entity_type: str,
        rows: Int64Array,
        *,
        dtype: npt.DTypeLike = np.float32,
        out: npt.NDArray[Any] | None = None,
    ) -> npt.NDArray[Any]:
        """Returns the embeddings of rows; see `MappedTable.vectors`."""
        return self.tables[entity_type].vectors(rows, dtype=dtype, out=out)

    def verify(self) -> None:
        """Reads every mapped file and retrieval index, and compares the checksums.

        Raises:
          BundleError: A file is damaged.
        """
        for file in self._files():
            checksum.check_file(self.folder, file)

    def warm(self, *, lock: bool) -> None:
        """Brings tables and ids into memory; see `MappedFile.warm`."""
        for part in self._parts():
            part.warm(lock=lock)

    @property
    def size_bytes(self) -> int:
        """The bytes that tables and ids map."""
        return sum(part.size_bytes for part in self._parts())

    def _parts(self) -> list[MappedTable | IdDirectory]:
        return [*self.tables.values(), *self.directories.values()]

    def _files(self) -> list[bundle_pb2.BundleFile]:
        """Returns the files that the loaded shards need."""
        files = []
        for table in self.manifest.tables:
            files += [table.shards[shard].file for shard in self.shards]
            files += [table.ids.keys, table.ids.buckets]
            if table.ids.id_type == bundle_pb2.ID_TYPE_STRING:
                files += [table.ids.offsets, table.ids.words]
        if self.manifest.HasField("relation_parameters"):
            files.append(self.manifest.relation_parameters)
        for index in self.manifest.indexes:
            files += [index.shards[shard] for shard in self.shards]
        return files


def _map_parameters(
    folder: Path, manifest: bundle_pb2.BundleManifest
) -> npt.NDArray[np.float32]:
    if not manifest.HasField("relation_parameters"):
        return np.empty(0, np.float32)
    file = manifest.relation_parameters
    mapped = MappedFile(folder / file.path, size_bytes=file.size_bytes)
    return mapped.array("<f4", (file.size_bytes // 4,))


def _shards(
    folder: Path, manifest: bundle_pb2.BundleManifest, shards: ShardRange | None
) -> range:
    """Returns the shards of the manifest that a range of shards means."""
    if shards is None:
        return range(manifest.num_shards)
    first, end, total = shards
    if total < 1 or manifest.num_shards % total:
        raise BundleError(
            f"{folder}: has {manifest.num_shards} shards, which are not divided by"
            f" {total}; allowed: a divisor"
        )
    if not 0 <= first < end <= total:
        raise BundleError(
            f"{folder}: shards {first} to before {end} of {total}; allowed: 0 to"
            f" {total}"
        )
    each = manifest.num_shards // total
    return range(first * each, end * each)
