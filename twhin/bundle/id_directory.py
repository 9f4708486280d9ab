# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""From entity ids to rows and back, over memory-mapped files.

The keys of all rows lie in ascending order, and a row is the position of its
key. Keys spread evenly, so their leading bits number buckets of a few rows:

    id -> key -> buckets[key >> (64 - bits)] -> a few neighbouring keys -> row

Compiled loops search where they can be had. Elsewhere, of many ids, the neighbouring
keys are all compared at once, a window of 16 from the first row of the bucket; only
keys behind their window are searched for.

A found string is compared with the stored one: no other id ever matches. For
int64 ids the key alone decides, since no two ids share one.
"""

import bisect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from twhin.bundle import id_hash, optional_loops
from twhin.bundle.id_hash import Int64Array, UInt64Array
from twhin.bundle.mapped_file import MappedFile
from twhin.errors import BundleError
from twhin.v1 import bundle_pb2

# int64 ids as an array or a sequence, or strings, or strings in UTF-8.
EntityIds: TypeAlias = (
    npt.NDArray[Any] | Sequence[int] | Sequence[str] | Sequence[bytes]
)

# Up to here a loop over single ids beats the array operations.
_FEW = 10
_FEW_STRING_BYTES = 128
# Keys that are compared with one, a power of two: nearly always the whole bucket.
_MAX_WINDOW = 16
# Keys whose windows are compared at a time: what a cache holds.
_BLOCK_KEYS = 1 << 12


def int64_array(ids: EntityIds) -> Int64Array:
    """Returns int64 ids as a C-contiguous array.

    Raises:
      TypeError: They are no integers.
    """
    array = np.asarray(ids)
    if array.dtype.kind not in "iu":
        raise TypeError(f"ids: expected int64, got {array.dtype}")
    return np.ascontiguousarray(array, np.int64)


class IdDirectory:
    """The ids of one entity type. Thread-safe; all memory is shared pages.

    Attributes:
      num_rows: The number of rows of the table.
      is_string: Whether ids are strings.
      hash_seed: The seed of the keys of strings.
      search: Buckets, keys and the bits of a bucket, as `row_loops` takes them.
    """

    def __init__(self, folder: Path, ids: bundle_pb2.BundleIds, num_rows: int) -> None:
        """Maps the directory.

        Args:
          folder: The folder of the bundle version.
          ids: Where the files are.
          num_rows: The number of rows of the table.

        Raises:
          BundleError: A file is missing or has the wrong size.
        """
        self.num_rows = num_rows
        self.is_string = ids.id_type == bundle_pb2.ID_TYPE_STRING
        self.hash_seed = ids.hash_seed
        self._files: list[MappedFile] = []
        self._keys = self._map(folder, ids.keys, np.uint64, num_rows)
        num_buckets = 1 << ids.num_bucket_bits
        self._buckets = self._map(folder, ids.buckets, np.int64, num_buckets + 1)
        self.search = (self._buckets, self._keys, int(ids.num_bucket_bits))
        self._bucket_shift = 64 - ids.num_bucket_bits
        self._bucket_shift_u64 = np.array(self._bucket_shift, np.uint64)
        self._first_step = 1 << max(ids.max_bucket_rows.bit_length() - 1, 0)
        self._window = min(_MAX_WINDOW, 1 << max(num_rows.bit_length() - 1, 0))
        self._windows = _windows(self._keys, self._window)
        self._place_mask = np.array(self._window - 1)
        self._last_window = np.array(num_rows - self._window)
        self._key_view = self._keys.data
        self._bucket_view = self._buckets.data
        if self.is_string:
            self._offsets = self._map(folder, ids.offsets, np.int64, num_rows + 1)
            num_words = ids.words.size_bytes // 8
            self._words = self._map(folder, ids.words, np.uint64, num_words)
            self._words_path = folder / ids.words.path
            num_words = id_hash.MAX_ID_BYTES // 8
            self._multipliers = id_hash.multipliers(num_words, ids.hash_seed).tolist()

    def find(self, ids: EntityIds) -> Int64Array:
        """Returns the row of each id, -1 where the id is unknown.

        Args:
          ids: n ids of the directory's type; int64 ids as any integer array or
            sequence, strings as str or as UTF-8 bytes.

        Returns:
          int64 [n].

        Raises:
          TypeError: The ids are not of the directory's type.
        """
        if not len(ids) or not self.num_rows:
            return np.full(len(ids), -1, np.int64)
        if self.is_string:
            return self._find_strings(ids)
        return self._find_int64(ids)

    def ids(self, rows: npt.ArrayLike) -> npt.NDArray[Any]:
        """Returns the id of each row.

        Args:
          rows: n rows in [0, num_rows).

        Returns:
          [n] int64, or [n] object (str) where the ids are strings.

        Raises:
          IndexError: A row is out of range.
          BundleError: A stored string is damaged.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= self.num_rows):
            raise IndexError(f"rows: not all in [0, {self.num_rows})")
        if not self.is_string:
            return id_hash.ids_of_int64_keys(self._keys.take(rows))
        names = np.empty(len(rows), dtype=object)
        names[:] = [self._string(row) for row in rows.tolist()]
        return names

    def warm(self, *, lock: bool) -> None:
        """Brings the directory into memory; see `MappedFile.warm`."""
        for file in self._files:
            file.warm(lock=lock)

    @property
    def size_bytes(self) -> int:
        """The bytes that the directory maps."""
        return sum(file.size_bytes for file in self._files)

    def _map(
        self,
        folder: Path,
        file: bundle_pb2.BundleFile,
        dtype: npt.DTypeLike,
        size: int,
    ) -> npt.NDArray[Any]:
        mapped = MappedFile(folder / file.path, size_bytes=file.size_bytes)
        self._files.append(mapped)
        return mapped.array(dtype, (size,))

    def _find_int64(self, ids: EntityIds) -> Int64Array:
        array = int64_array(ids)
        if (loops := optional_loops.row_loops()) is not None:
            found: Int64Array = loops.find_int64(array, *self.search)
            return found
        if len(array) > _FEW:
            return self._find_keys(id_hash.int64_keys(array))
        return np.array(
            [self._find_key(id_hash.int64_key(i)) for i in array.tolist()], np.int64
        )

    def _find_strings(self, ids: EntityIds) -> Int64Array:
        if not isinstance(ids[0], str | bytes):
            raise TypeError(f"ids: expected strings, got {type(ids[0]).__name__}")
        if len(ids) <= _FEW:
            encoded: list[Any] = [i.encode() if isinstance(i, str) else i for i in ids]
            if sum(map(len, encoded)) <= _FEW_STRING_BYTES:
                return np.array([self._find_string(i) for i in encoded], np.int64)
        words = id_hash.pack_strings(ids)  # type: ignore[arg-type]
        rows = self._find_keys(id_hash.string_keys(words, self.hash_seed))
        return np.where(self._same_words(rows, words), rows, -1)

    def _find_string(self, entity_id: bytes) -> int:
        key = id_hash.string_key(entity_id, self._multipliers)
        row = self._find_key(key)
        return row if row >= 0 and self._stored_bytes(row) == entity_id else -1

    def _stored_bytes(self, row: int) -> bytes:
        start, stop = self._offsets[row], self._offsets[row + 1]
        return self._words[start:stop].tobytes().rstrip(b"\0")

    def _find_key(self, key: int) -> int:
        bucket = key >> self._bucket_shift
        start, stop = self._bucket_view[bucket], self._bucket_view[bucket + 1]
        row = bisect.bisect_left(self._key_view, key, start, stop)
        return row if row < stop and self._key_view[row] == key else -1

    def _find_keys(self, keys: UInt64Array) -> Int64Array:
        """Returns the row of each key, or -1."""
        if (loops := optional_loops.row_loops()) is not None:
            found: Int64Array = loops.find_keys(keys, *self.search)
            return found
        if len(keys) <= _BLOCK_KEYS:
            return self._find_block(keys)
        rows = np.empty(len(keys), np.int64)
        for start in range(0, len(keys), _BLOCK_KEYS):
            part = slice(start, start + _BLOCK_KEYS)
            rows[part] = self._find_block(keys[part])
        return rows

    def _find_block(self, keys: UInt64Array) -> Int64Array:
        starts = self._first_rows(keys)
        # Near the end of the table a window reaches back, and so holds more.
        np.minimum(starts, self._last_window, out=starts)
        windows = self._windows[starts].view(np.uint64)
        matches: Int64Array = (windows == keys.repeat(self._window)).nonzero()[0]
        if len(matches) == len(keys):
            # Keys differ, so that there is one match in each window.
            matches &= self._place_mask
            matches += starts
            return matches
        rows = np.full(len(keys), -1, np.int64)
        found = matches // self._window
        rows[found] = starts[found] + (matches & self._place_mask)
        behind = np.flatnonzero(windows[self._window - 1 :: self._window] < keys)
        if len(behind):
            rows[behind] = self._search(keys[behind])
        return rows

    def _search(self, keys: UInt64Array) -> Int64Array:
        """Returns the row of each key, or -1: a binary search in all buckets at once.

        It need not stop at the end of a bucket, behind which all keys are larger.
        """
        before = self._first_rows(keys) - 1
        step = self._first_step
        while step:
            is_less = self._keys.take(before + step, mode="clip") < keys
            before += is_less * step
            step >>= 1
        rows = before + 1
        return np.where(self._keys.take(rows, mode="clip") == keys, rows, -1)

    def _first_rows(self, keys: UInt64Array) -> Int64Array:
        """Returns the first row of each key's bucket."""
        if self._bucket_shift == 64:
            return np.zeros(len(keys), np.int64)
        buckets = (keys >> self._bucket_shift_u64).view(np.int64)
        rows: Int64Array = self._buckets.take(buckets, mode="clip")
        return rows

    def _same_words(
        self, rows: Int64Array, words: UInt64Array
    ) -> npt.NDArray[np.bool_]:
        """Returns whether the stored string of each row is that of `words`."""
        found = rows >= 0
        starts = self._offsets.take(rows, mode="clip")
        lengths = self._offsets.take(rows + 1, mode="clip") - starts
        places = np.arange(words.shape[1])
        stored = self._words.take(starts[:, None] + places, mode="clip")
        stored *= places < lengths[:, None]
        found &= lengths <= words.shape[1]
        found &= (stored == words).all(axis=1)
        return found

    def _string(self, row: int) -> str:
        try:
            return self._stored_bytes(row).decode()
        except UnicodeDecodeError as err:
            raise BundleError(f"{self._words_path}: is damaged: not UTF-8") from err


def _windows(keys: UInt64Array, size: int) -> npt.NDArray[np.void]:
    """Returns the `size` keys from each row on, as one element: a view."""
    num_windows = max(len(keys) - size + 1, 0)
    return np.ndarray(
        num_windows, np.dtype((np.void, 8 * size)), keys, strides=keys.strides
    )
