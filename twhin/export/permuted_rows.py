# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rows of a trained table in another order, with bounded memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from twhin.bundle.id_hash import Int64Array
from twhin.bundle.row_format import RowFormat, encode_rows, row_width, storage_dtype
from twhin.errors import CheckpointError

_READ_BYTES = 1 << 26
_NUMBER_BYTES = 4
# Larger numbers round to infinity.
_FLOAT16_BOUND = 65520


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRange:
    """Rows from `start` to before `stop`, in the new order."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutedRows:
    """A table whose row i is the source's row order[i].

    Attributes:
      where: What the table is, for errors.
      read_rows: Returns rows of the source from a start to before a stop, [n, D].
      order: int64 [num_rows], rows of the source; each at most once.
      dim: D.
      row_format: How rows are to be stored.
      buffer_bytes: The bound on the rows that are held at a time.
    """

    where: str
    read_rows: Callable[[int, int], Tensor]
    order: Int64Array
    dim: int
    row_format: RowFormat
    buffer_bytes: int

    def blocks(
        self, ranges: Sequence[RowRange]
    ) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yields the rows of ranges, each in order and in one or more blocks.

        The source is read once for every `buffer_bytes`, whatever the ranges.

        Args:
          ranges: The rows that are wanted.

        Yields:
          The position of the range in `ranges`, and stored rows.

        Raises:
          CheckpointError: A row has a number that cannot be stored.
        """
        for parts in self._passes(ranges):
            rows = self._gather(
                np.concatenate([self.order[p.start : p.stop] for _, p in parts])
            )
            first = 0
            for place, part in parts:
                stop = first + part.stop - part.start
                yield place, rows[first:stop]
                first = stop

    def _passes(
        self, ranges: Sequence[RowRange]
    ) -> Iterator[list[tuple[int, RowRange]]]:
        """Yields parts of the ranges that fit the buffer together."""
        row_bytes = self._width * storage_dtype(self.row_format).itemsize
        capacity = max(self.buffer_bytes // row_bytes, 1)
        parts: list[tuple[int, RowRange]] = []
        num_free = capacity
        for place, each in enumerate(ranges):
            start = each.start
            while start < each.stop:
                stop = min(each.stop, start + num_free)
                parts.append((place, RowRange(start=start, stop=stop)))
                num_free -= stop - start
                start = stop
                if not num_free:
                    yield parts
                    parts, num_free = [], capacity
        if parts:
            yield parts

    def _gather(self, sources: Int64Array) -> npt.NDArray[Any]:
        """Returns the stored form of rows of the source, in one pass over it."""
        places = np.argsort(sources)
        ascending = sources.take(places)
        rows = np.empty((len(sources), self._width), storage_dtype(self.row_format))
        step = max(_READ_BYTES // (_NUMBER_BYTES * self.dim), 1)
        position = 0
        while position < len(ascending):
            start = int(ascending[position])
            end = int(ascending.searchsorted(start + step))
            local = ascending[position:end] - start
            block = self.read_rows(start, start + int(local[-1]) + 1).numpy()[local]
            rows[places[position:end]] = self._encode(block, ascending[position:end])
            position = end
        return rows

    def _encode(self, block: npt.NDArray[Any], sources: Int64Array) -> npt.NDArray[Any]:
        """Returns the stored form of rows, all of whose numbers can be stored."""
        bound = _FLOAT16_BOUND if self.row_format is RowFormat.FLOAT16 else np.inf
        # Also false for NaN.
        is_good = (np.abs(block) < bound).all(axis=1)
        if not is_good.all():
            row = int(sources[np.argmin(is_good)])
            raise CheckpointError(
                f"{self.where}: row {row} has numbers that cannot be stored as"
                f" {self.row_format}; allowed: finite ones"
                f"{'' if bound == np.inf else f' below {bound:g}'}"
            )
        return encode_rows(block, self.row_format)

    @property
    def _width(self) -> int:
        return row_width(self.row_format, self.dim)
