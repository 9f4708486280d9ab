# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Builds the retrieval index of one shard, a FAISS file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from twhin.bundle import file_writer
from twhin.bundle.kinds import IndexKind
from twhin.retrieval import comparators
from twhin.retrieval.operators import Floats
from twhin.scoring import Comparator
from twhin.v1 import bundle_pb2

_ROWS_PER_LIST = 32
_MIN_TRAINING_ROWS = 1 << 14
_NUM_ITERATIONS = 10
_BITS_PER_CODE = 8


def index_path(entity_type: str, shard: int, num_shards: int) -> str:
    """Returns the path of a shard's index in the folder of a version."""
    return f"indexes/{entity_type}/shard-{shard:05d}-of-{num_shards:05d}.faiss"


class IndexBuilder:
    """Builds one index; holds its codes in memory, D halves a row or less."""

    def __init__(
        self,
        kind: IndexKind,
        comparator: Comparator,
        *,
        dim: int,
        num_lists: int,
    ) -> None:
        """Starts empty.

        Args:
          kind: The form of the index.
          comparator: Any but `NEGATIVE_L1`.
          dim: The dimension of the embeddings.
          num_lists: The number of inverted lists, for forms that have them.
        """
        self._comparator = comparator
        if kind is IndexKind.EXACT_FP16:
            self._num_training_rows = 0
        else:
            self._num_training_rows = max(
                _ROWS_PER_LIST * num_lists, _MIN_TRAINING_ROWS
            )
        self._index = _make_index(kind, comparator, dim, num_lists)
        self._waiting: list[Floats] = []
        self._num_waiting = 0

    def add(self, rows: Floats) -> None:
        """Adds the next rows of the shard.

        The first ones train the index: rows lie in the order of hashes, so that
        these are a fair sample.

        Args:
          rows: float32 [n, D].
        """
        rows = _prepare(rows, self._comparator)
        if self._num_training_rows:
            self._waiting.append(np.array(rows))
            self._num_waiting += len(rows)
            if self._num_waiting < self._num_training_rows:
                return
            rows = self._train()
        self._index.add(rows)

    def write(self, folder: Path, path: str) -> bundle_pb2.BundleFile:
        """Writes the index; returns the entry of the manifest."""
        if self._waiting:
            self._index.add(self._train())
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        faiss.write_index(self._index, str(target))
        return file_writer.entry_of(folder, path)

    def _train(self) -> Floats:
        """Trains with the waiting rows and returns them."""
        rows = np.concatenate(self._waiting)
        self._index.train(rows[: self._num_training_rows])
        self._waiting = []
        self._num_training_rows = 0
        return rows


def build_index(
    kind: IndexKind,
    comparator: Comparator,
    blocks: Iterable[Floats],
    *,
    dim: int,
    num_lists: int,
    folder: Path,
    path: str,
    num_threads: int = 1,
) -> bundle_pb2.BundleFile:
    """Builds and writes the index of a shard's rows; see `IndexBuilder`."""
    # FAISS has a number of threads for each thread that calls it.
    faiss.omp_set_num_threads(num_threads)
    builder = IndexBuilder(kind, comparator, dim=dim, num_lists=num_lists)
    for block in blocks:
        builder.add(block)
    return builder.write(folder, path)


def _prepare(rows: Floats, comparator: Comparator) -> Floats:
    rows = np.ascontiguousarray(rows, np.float32)
    return comparators.normalize(rows) if comparator is Comparator.COSINE else rows


def _make_index(
    kind: IndexKind, comparator: Comparator, dim: int, num_lists: int
) -> Any:
    is_product = comparator in (Comparator.DOT, Comparator.COSINE)
    metric = faiss.METRIC_INNER_PRODUCT if is_product else faiss.METRIC_L2
    half = faiss.ScalarQuantizer.QT_fp16
    if kind is IndexKind.EXACT_FP16:
        return faiss.IndexScalarQuantizer(dim, half, metric)
    coarse = faiss.IndexFlat(dim, metric)
    index: Any
    if kind is IndexKind.IVF_FP16:
        index = faiss.IndexIVFScalarQuantizer(
            coarse, dim, num_lists, half, metric, False
        )
    else:
        index = faiss.IndexIVFPQ(
            coarse, dim, num_lists, _num_codes(dim), _BITS_PER_CODE, metric
        )
        index.pq.cp.niter = _NUM_ITERATIONS
        index.pq.cp.min_points_per_centroid = 1
    index.cp.niter = _NUM_ITERATIONS
    index.cp.max_points_per_centroid = _ROWS_PER_LIST
    index.cp.min_points_per_centroid = 1
    return index


def _num_codes(dim: int) -> int:
    """Returns the bytes of a quantised row: about one for four numbers."""
    return max(n for n in range(1, max(dim // 4, 1) + 1) if dim % n == 0)
