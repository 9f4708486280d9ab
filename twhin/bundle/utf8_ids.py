# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""String ids as one run of UTF-8 bytes, and as one run of words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twhin.bundle import id_hash
from twhin.bundle.id_hash import Int64Array, UInt64Array
from twhin.errors import BundleError

_BLOCK_IDS = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Utf8Ids:
    """n strings; the form that Arrow has, so that a column is not copied.

    Attributes:
      data: uint8, the bytes of all strings.
      offsets: int64 [n + 1]; string i is data[offsets[i]:offsets[i + 1]].
    """

    data: npt.NDArray[np.uint8]
    offsets: Int64Array

    @staticmethod
    def from_strings(ids: Sequence[str]) -> "Utf8Ids":
        """Returns the strings of a sequence."""
        encoded = [i.encode() for i in ids]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        return Utf8Ids(
            data=np.frombuffer(b"".join(encoded), np.uint8),
            offsets=np.concatenate(([0], lengths.cumsum())),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def id(self, index: int) -> str:
        """Returns one string."""
        start, stop = self.offsets[index], self.offsets[index + 1]
        return self.data[start:stop].tobytes().decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedIds:
    """n strings, each padded with zeros to whole words.

    Attributes:
      words: uint64, the words of all strings.
      offsets: int64 [n + 1]; string i is words[offsets[i]:offsets[i + 1]].
    """

    words: UInt64Array
    offsets: Int64Array

    def take(self, order: Int64Array) -> UInt64Array:
        """Returns the words of the strings at the positions `order`, joined."""
        counts = (self.offsets[1:] - self.offsets[:-1]).take(order)
        stops = counts.cumsum()
        shifts = self.offsets.take(order) - (stops - counts)
        places = shifts.repeat(counts)
        places += np.arange(len(places))
        words: UInt64Array = self.words.take(places)
        return words


def pack_ids(ids: Utf8Ids, where: str) -> PackedIds:
    """Pads string ids to words.

    Args:
      ids: The strings.
      where: What they are, for errors.

    Raises:
      BundleError: An id is empty, longer than `MAX_ID_BYTES` or has a NUL.
    """
    lengths = np.diff(ids.offsets)
    _check_lengths(ids, lengths, where)
    counts = (lengths + 7) >> 3
    offsets = np.concatenate(([0], counts.cumsum()))
    words = np.zeros(int(offsets[-1]), np.uint64)
    stored = words.view(np.uint8)
    for start in range(0, len(ids), _BLOCK_IDS):
        bounds = ids.offsets[start : start + _BLOCK_IDS + 1]
        data = ids.data[bounds[0] : bounds[-1]]
        if not data.all():
            place = int(bounds[0]) + int(np.argmin(data))
            index = int(ids.offsets.searchsorted(place, side="right")) - 1
            raise BundleError(f"{where}: id {index} has a NUL; allowed: text without")
        shifts = 8 * offsets[start : start + len(bounds) - 1]
        shifts = shifts - (bounds[:-1] - bounds[0])
        places = shifts.repeat(lengths[start : start + len(shifts)])
        places += np.arange(len(places))
        stored[places] = data
    return PackedIds(words=words, offsets=offsets)


def _check_lengths(ids: Utf8Ids, lengths: Int64Array, where: str) -> None:
    if not len(ids):
        return
    for index in (int(lengths.argmin()), int(lengths.argmax())):
        if not 1 <= lengths[index] <= id_hash.MAX_ID_BYTES:
            raise BundleError(
                f"{where}: id {index} has {lengths[index]} bytes; allowed: 1 to"
                f" {id_hash.MAX_ID_BYTES}"
            )
