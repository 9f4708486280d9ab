# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The memory-mapped index of one table: a FAISS file for each loaded shard."""

import threading
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from twhin.bundle.id_hash import Int64Array
from twhin.bundle.kinds import IndexKind, from_proto
from twhin.bundle.mapped_file import MappedFile
from twhin.bundle.mapped_table import MappedTable
from twhin.errors import BundleError
from twhin.retrieval import comparators
from twhin.retrieval.operators import Floats, Query
from twhin.scoring import Comparator
from twhin.v1 import bundle_pb2

_FLAGS = faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE
# Quantised scores are rough: this many times the rows asked for are rescored.
_QUANTISED_FACTOR = 4
_thread = threading.local()


class TableIndex:
    """Finds rows that are likely the best. Thread-safe.

    Attributes:
      kind: The form of the index.
      num_lists: The number of inverted lists of a shard; 0 for exact forms.
    """

    def __init__(
        self,
        folder: Path,
        index: bundle_pb2.BundleIndex,
        table: MappedTable,
        *,
        comparator: Comparator,
        shards: range,
    ) -> None:
        """Maps the files of the loaded shards.

        Args:
          folder: The folder of the bundle version.
          index: The manifest's entry.
          table: The rows.
          comparator: The comparison.
          shards: The loaded shards.

        Raises:
          BundleError: A file is missing, damaged, or another table's.
        """
        self.kind = from_proto(IndexKind, bundle_pb2.IndexKind, index.kind, "kind")
        self.num_lists = index.num_lists
        self._num_probes = index.num_probes
        self._relation_num_probes = index.relation_num_probes or index.num_probes
        self._comparator = comparator
        self._files: list[MappedFile] = []
        self._shards: list[tuple[int, Any]] = []
        by_start = {shard.start: shard for shard in table.shards}
        starts = table.shard_starts
        for shard in shards:
            file = index.shards[shard]
            mapped = MappedFile(folder / file.path, size_bytes=file.size_bytes)
            loaded = by_start.get(starts[shard])
            if loaded is None or starts[shard] == starts[shard + 1]:
                continue
            self._files.append(mapped)
            found = _read_index(mapped.path)
            if (found.d, found.ntotal) != (table.dim, loaded.stop - loaded.start):
                raise BundleError(
                    f"{mapped.path}: holds {found.ntotal} rows of {found.d} numbers;"
                    f" expected {loaded.stop - loaded.start} of {table.dim}"
                )
            self._shards.append((loaded.start, found))

    def num_probes_for(self, query: Query) -> int:
        """Returns the lists to visit for the recall that the export asked for.

        0 for exact forms.
        """
        return self._relation_num_probes if query.is_related else self._num_probes

    def search(
        self,
        queries: Floats,
        k: int,
        excluded: Int64Array,
        *,
        num_probes: int,
    ) -> Int64Array:
        """Returns rows that are likely among the best for each query.

        Args:
          queries: float32 [n, D].
          k: The number of rows that the caller rescores, where codes are exact.
          excluded: int64 [e], ascending: rows that no query gets.
          num_probes: The lists to visit; of no matter for exact forms.

        Returns:
          int64 [n, m], m at least k, in any order; -1 where there is none.
        """
        _use_one_thread()
        if self._comparator is Comparator.COSINE:
            queries = comparators.normalize(queries)
        num_wanted = _QUANTISED_FACTOR * k if self.kind is IndexKind.IVF_PQ else k
        found = []
        for start, index in self._shards:
            distances, places = index.search(
                queries,
                min(num_wanted, index.ntotal),
                params=self._parameters(start, index, excluded, num_probes),
            )
            found.append((distances, np.where(places >= 0, places + start, -1)))
        if not found:
            return np.full((len(queries), 1), -1, np.int64)
        return self._merge(found, num_wanted)

    def warm(self, *, lock: bool) -> None:
        """Brings the index into memory; see `MappedFile.warm`."""
        for file in self._files:
            file.warm(lock=lock)

    @property
    def size_bytes(self) -> int:
        """The bytes of the mapped files."""
        return sum(file.size_bytes for file in self._files)

    def _parameters(
        self, start: int, index: Any, excluded: Int64Array, num_probes: int
    ) -> Any:
        arguments: dict[str, Any] = {}
        first, last = excluded.searchsorted((start, start + index.ntotal))
        if first < last:
            places = np.ascontiguousarray(excluded[first:last] - start)
            arguments["sel"] = faiss.IDSelectorNot(faiss.IDSelectorBatch(places))
        if self.kind is IndexKind.EXACT_FP16:
            return faiss.SearchParameters(**arguments) if arguments else None
        arguments["nprobe"] = num_probes
        return faiss.SearchParametersIVF(**arguments)

    def _merge(
        self, found: list[tuple[npt.NDArray[np.float32], Int64Array]], num_wanted: int
    ) -> Int64Array:
        """Returns the best rows of all shards by the scores of the index."""
        rows = np.concatenate([places for _, places in found], axis=1)
        if len(found) == 1 or rows.shape[1] <= num_wanted:
            return rows
        distances = np.concatenate([distances for distances, _ in found], axis=1)
        is_product = self._comparator in (Comparator.DOT, Comparator.COSINE)
        scores = distances if is_product else -distances
        scores[rows < 0] = -np.inf
        first = rows.shape[1] - num_wanted
        keep = np.argpartition(scores, first, axis=1)[:, first:]
        return np.take_along_axis(rows, keep, axis=1)


def _read_index(path: Path) -> Any:
    try:
        return faiss.read_index(str(path), _FLAGS)
    except RuntimeError as err:
        raise BundleError(f"{path}: is no index that FAISS can read") from err


def _use_one_thread() -> None:
    """Keeps the calling thread's searches on it: FAISS's setting is per thread."""
    if not getattr(_thread, "is_set", False):
        faiss.omp_set_num_threads(1)
        _thread.is_set = True
