# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The rows of one entity type, memory-mapped; nothing is copied at open."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twhin.bundle import kinds, optional_loops
from twhin.bundle.id_hash import Int64Array
from twhin.bundle.mapped_region import MappedRegion
from twhin.bundle.row_format import RowFormat, decode_rows, row_width, storage_dtype
from twhin.v1 import bundle_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedShard:
    """A loaded shard.

    Attributes:
      start: Its first row.
      stop: One past its last row.
      stored: [stop - start, row width], the rows as they are stored.
    """

    start: int
    stop: int
    stored: npt.NDArray[Any]


class MappedTable:
    """The loaded shards of a table. Thread-safe; numpy's gather drops the GIL.

    Rows are those of the whole table, [0, num_rows), whatever shards are loaded.

    Attributes:
      entity_type: The name of the entity type.
      num_rows: The number of rows over all shards.
      dim: The number of numbers of a row, D.
      row_format: How rows are stored.
      stored_dtype: The type of a stored element; uint8 for int8 rows.
      stored_width: The number of stored elements of a row: D, or D + 8 for int8
        rows.
      shards: The loaded shards, ascending, without the empty ones.
      shard_starts: The first row of every shard, loaded or not, and `num_rows`.
      is_complete: Whether all rows are loaded.
      layout: The loaded shards' first rows, what is added to their rows for their
        places, and the stored bytes, as `row_loops` takes them.
    """

    def __init__(
        self,
        folder: Path,
        table: bundle_pb2.BundleTable,
        *,
        dim: int,
        shards: Sequence[int],
    ) -> None:
        """Maps shards of a table.

        Args:
          folder: The folder of the bundle version.
          table: The manifest's entry.
          dim: The dimension of the embeddings.
          shards: The numbers of the shards to map, ascending.

        Raises:
          BundleError: A file is missing or has the wrong size.
        """
        self.entity_type = table.entity_type
        self.num_rows = table.num_rows
        self.dim = dim
        self.row_format = kinds.from_proto(
            RowFormat, bundle_pb2.RowFormat, table.row_format, "row_format"
        )
        self.stored_dtype = storage_dtype(self.row_format)
        self.stored_width = row_width(self.row_format, dim)
        self.shard_starts = (*(s.start_row for s in table.shards), table.num_rows)
        loaded = [table.shards[number] for number in shards]
        loaded = [shard for shard in loaded if shard.stop_row > shard.start_row]
        self._region = self._map(folder, loaded)
        self._stored = self._no_rows()
        if self._region is not None:
            self._stored = self._region.array(self.stored_dtype)
        self.shards = tuple(self._mapped_shards(loaded))
        self.is_complete = sum(s.stop - s.start for s in self.shards) == self.num_rows
        self._end_row = np.array(self.num_rows, np.uint64)
        # What is added to a row to have its place in `_stored`.
        self._starts = np.array([shard.start for shard in self.shards], np.int64)
        self._shifts = np.array(self._places(), np.int64) - self._starts
        self.layout = (self._starts, self._shifts, self._stored.view(np.uint8))
        self._in_place = len(self.shards) == 1 and not self._shifts.any()

    @property
    def size_bytes(self) -> int:
        """The bytes that the loaded shards map."""
        return 0 if self._region is None else self._region.size_bytes

    def holds(self, rows: Int64Array) -> npt.NDArray[np.bool_]:
        """Returns whether each row is in [0, num_rows) and in a loaded shard."""
        if self.is_complete:
            # Without a sign, row -1 is larger than all.
            return rows.view(np.uint64) < self._end_row
        held = np.zeros(rows.shape, np.bool_)
        for shard in self.shards:
            held |= (rows >= shard.start) & (rows < shard.stop)
        return held

    def take(
        self, rows: Int64Array, out: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[Any]:
        """Gathers rows as they are stored, the fastest way.

        Args:
          rows: int64 [n]. A row that no loaded shard holds gives the bytes of
            some other row: ask `holds`, or use `vectors`.
          out: [n, stored_width] of `stored_dtype`, C-contiguous, or None for a
            new array.

        Returns:
          `out`.
        """
        if out is None:
            out = np.empty((len(rows), self.stored_width), self.stored_dtype)
        if not self.shards:
            out[:] = 0
            return out
        if (loops := optional_loops.row_loops()) is not None:
            loops.take(rows, *self.layout, out.view(np.uint8))
            return out
        places = rows
        if not self._in_place:
            shards = self._starts.searchsorted(rows, side="right") - 1
            places = rows + self._shifts.take(shards, mode="clip")
        self._stored.take(places, axis=0, out=out, mode="clip")
        return out

    def vectors(
        self,
        rows: Int64Array,
        *,
        dtype: npt.DTypeLike = np.float32,
        out: npt.NDArray[Any] | None = None,
        held: npt.NDArray[np.bool_] | None = None,
    ) -> npt.NDArray[Any]:
        """Gathers rows as numbers; zeros for a row that no loaded shard holds.

        Args:
          rows: int64 [n], any numbers; -1 (unknown id) gives zeros.
          dtype: float32 or float16, the type of a new array.
          out: [n, D] float32 or float16, C-contiguous, or None for a new array.
          held: `holds(rows)` where the caller knows it.

        Returns:
          `out`.
        """
        if out is None:
            out = np.empty((len(rows), self.dim), dtype)
        if out.dtype == self.stored_dtype:
            self.take(rows, out)
        else:
            decode_rows(self.take(rows), self.row_format, out)
        if held is None:
            held = self.holds(rows)
        if np.count_nonzero(held) < len(rows):
            out[~held] = 0
        return out

    def blocks(self, block_rows: int) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yields all loaded rows in order as (first row, [n, D] float32).

        A block may be the mapped rows themselves, and is not to be written.
        """
        for shard in self.shards:
            for start in range(0, shard.stop - shard.start, block_rows):
                block = shard.stored[start : start + block_rows]
                if self.row_format is not RowFormat.FLOAT32:
                    stored = block
                    block = np.empty((len(stored), self.dim), np.float32)
                    decode_rows(stored, self.row_format, block)
                yield shard.start + start, block

    def warm(self, *, lock: bool) -> None:
        """Brings the loaded shards into memory; see `MappedFile.warm`."""
        if self._region is not None:
            self._region.warm(lock=lock)

    def _map(
        self, folder: Path, loaded: Sequence[bundle_pb2.TableShard]
    ) -> MappedRegion | None:
        """Maps the files of shards that have rows; None where there is none."""
        if not loaded:
            return None
        files = [(folder / s.file.path, s.file.size_bytes) for s in loaded]
        row_bytes = self.stored_width * self.stored_dtype.itemsize
        return MappedRegion(files, row_bytes=row_bytes)

    def _places(self) -> tuple[int, ...]:
        """Returns where each loaded shard begins in `_stored`."""
        return () if self._region is None else self._region.starts

    def _no_rows(self) -> npt.NDArray[Any]:
        return np.empty((0, self.stored_width), self.stored_dtype)

    def _mapped_shards(
        self, loaded: Sequence[bundle_pb2.TableShard]
    ) -> Iterator[MappedShard]:
        for shard, place in zip(loaded, self._places(), strict=True):
            num_rows = shard.stop_row - shard.start_row
            yield MappedShard(
                start=shard.start_row,
                stop=shard.stop_row,
                stored=self._stored[place : place + num_rows],
            )
