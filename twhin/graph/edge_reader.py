# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Reads encoded edges in batches, shuffled and divided over the ranks of a job."""

from collections.abc import Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from twhin.errors import DataError
from twhin.graph import random_bits
from twhin.graph.cursor import Cursor, Stage
from twhin.graph.edge_batch import EdgeBatch
from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.edge_files import EdgeFiles
from twhin.graph.row_line import RowLine
from twhin.graph.schema import GraphSchema
from twhin.graph.shuffle_window import Window, num_steps

# Distinguishes the sampling of edges from other draws of the same seed.
_SAMPLING = 2


class EdgeReader:
    """Batches of shuffled edges; every edge once per epoch over all ranks.

    The order is a function of the seed, the epoch, the rank and the number of ranks;
    twhin/graph/shuffle_window.py explains it. A rank whose share of the edges fits
    into its shuffle window permutes the share as a whole; otherwise row groups are
    shuffled, and then the rows of consecutive windows. All ranks take the same number
    of steps. In a step all ranks have equally many edges, up to one; only in the last
    step may they have fewer than `batch_size`, and some of them none.

    A thread reads and checks the next window while the current one is used: about
    100 bytes of memory for each row of the window, and one row group.
    """

    def __init__(
        self,
        *,
        files: Sequence[str],
        schema: GraphSchema,
        batch_size: int,
        seed: int,
        shuffle_window: int,
        rank: int = 0,
        world_size: int = 1,
        sampling_rates: Sequence[float] | None = None,
    ) -> None:
        """Reads the footers of the files.

        Args:
          files: Paths, folders, globs or fsspec URLs of parquet files.
          schema: What relations and indices are checked against.
          batch_size: Edges per batch of a rank; with `sampling_rates` on average.
          seed: At least 0.
          shuffle_window: Rows that a rank shuffles together; rounded up to whole
            batches.
          rank: This rank, in [0, world_size).
          world_size: The number of ranks.
          sampling_rates: For each relation the share of its edges that an epoch
            reads, in (0, 1]; None for all edges. An epoch's choice is a function of
            the seed alone.

        Raises:
          DataError: The files have no edges or cannot be used.
        """
        self._files = EdgeFiles(files, schema)
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._rates: NDArray[np.float64] | None = None
        self._rows_per_step = batch_size
        if sampling_rates is not None and min(sampling_rates) < 1:
            self._rates = np.array(sampling_rates, dtype=np.float64)
            counts = self._files.count_relations(len(sampling_rates))
            mean_rate = float(counts @ self._rates) / self._files.num_rows
            self._rows_per_step = round(batch_size / max(mean_rate, 1e-6))
        steps = -(-shuffle_window // self._rows_per_step)
        self._window_rows = steps * self._rows_per_step * world_size

    @property
    def num_edges(self) -> int:
        """The number of edges in the files, before sampling."""
        return self._files.num_rows

    def num_steps(self, epoch: int, start: Cursor | None = None) -> int:
        """Returns the number of batches that `epoch` yields, equal on all ranks."""
        cursor = self._enter_window(self._checked(epoch, start))
        if not cursor.stages:
            return 0
        left = self._window_steps(cursor) - cursor.stages[-1].num_steps
        behind = cursor.num_rows - cursor.window_start - cursor.window_rows
        return left + num_steps(behind, self._world_size, self._rows_per_step)

    def epoch(
        self, epoch: int, start: Cursor | None = None
    ) -> Iterator[tuple[EdgeBatch, Cursor]]:
        """Yields the batches of an epoch, each with the cursor behind it.

        A cursor is the same on all ranks. Where `start` comes from a job with as many
        ranks and the same batch size, reading goes on bit-identically; otherwise
        with the edges of the epoch that have not been read, each once.

        Args:
          epoch: The epoch, at least 0.
          start: Where to begin, a cursor of this epoch; None for the first edge.

        Raises:
          DataError: A file is damaged, a value is null or out of range, or the
            cursor belongs to another epoch or other files.
        """
        cursor = self._enter_window(self._checked(epoch, start))
        line = RowLine(self._files, self._seed, epoch)
        with futures.ThreadPoolExecutor(1, "edge-reader") as pool:
            loading = pool.submit(self._load, line, cursor)
            while cursor.stages:
                share = loading.result()
                following = self._enter_window(_leave_window(cursor))
                loading = pool.submit(self._load, line, following)
                yield from self._batches(share, cursor)
                cursor = following

    def _batches(
        self, share: "_Share", cursor: Cursor
    ) -> Iterator[tuple[EdgeBatch, Cursor]]:
        """Yields what follows the cursor in its window."""
        *before, stage = cursor.stages
        num_window_steps = self._window_steps(cursor)
        for step in range(stage.num_steps, num_window_steps):
            start = step * self._rows_per_step
            batch = share.batch(start, start + self._rows_per_step)
            done = replace(stage, num_steps=step + 1)
            behind = replace(cursor, stages=(*before, done))
            if step + 1 == num_window_steps:
                behind = _leave_window(cursor)
            yield batch, behind

    def _load(self, line: RowLine, cursor: Cursor) -> "_Share":
        """Reads this rank's share of the cursor's window."""
        window = self._window(cursor)
        if cursor.stages:
            order = window.order(cursor.stages, self._rank)
        else:
            order = np.empty(0, dtype=np.int64)
        first, stop = (int(order.min()), int(order.max()) + 1) if len(order) else (0, 0)
        columns = line.read(window.start + first, window.start + stop)
        order -= first
        if self._rates is None:
            return _Share(columns=columns, order=order, is_sampled=None)
        positions = np.arange(window.start + first, window.start + stop)
        key = random_bits.stream_key(self._seed, _SAMPLING, window.epoch)
        draws = random_bits.uniform_floats(
            random_bits.random_bits(key, positions.astype(np.uint64))
        )
        is_sampled = draws < self._rates[columns.rel]
        return _Share(columns=columns, order=order, is_sampled=is_sampled)

    def _checked(self, epoch: int, start: Cursor | None) -> Cursor:
        """Returns the cursor to start from."""
        num_rows = self._files.num_rows
        if start is None:
            return Cursor(epoch=epoch, num_rows=num_rows)
        if (start.epoch, start.num_rows) != (epoch, num_rows):
            raise DataError(
                f"cursor: of epoch {start.epoch!r} over {start.num_rows!r} edges; "
                f"expected epoch {epoch} over the {num_rows} edges of "
                f"{self._files.paths[0]!r} and the other files"
            )
        return start

    def _enter_window(self, cursor: Cursor) -> Cursor:
        """Adds this job's stage, in a new window where the last has been left."""
        if cursor.window_start == cursor.num_rows:
            return cursor
        job = Stage(
            world_size=self._world_size, rows_per_step=self._rows_per_step, num_steps=0
        )
        if not cursor.stages:
            num_rows = min(self._window_rows, cursor.num_rows - cursor.window_start)
            return replace(cursor, window_rows=num_rows, stages=(job,))
        if replace(cursor.stages[-1], num_steps=0) == job:
            return cursor
        return replace(cursor, stages=(*cursor.stages, job))

    def _window(self, cursor: Cursor) -> Window:
        return Window(
            seed=self._seed,
            epoch=cursor.epoch,
            start=cursor.window_start,
            num_rows=cursor.window_rows,
        )

    def _window_steps(self, cursor: Cursor) -> int:
        """Returns the number of steps of the cursor's last stage."""
        num_rows = self._window(cursor).num_left(cursor.stages[:-1])
        return num_steps(num_rows, self._world_size, self._rows_per_step)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """A rank's rows of a window.

    Attributes:
      columns: [n] rows in the order of the files.
      order: [m] int64, the rows to read, in order.
      is_sampled: [n] bool, the rows that this epoch reads; None for all.
    """

    columns: EdgeColumns
    order: NDArray[np.int64]
    is_sampled: NDArray[np.bool_] | None

    def batch(self, start: int, stop: int) -> EdgeBatch:
        """Returns the edges from `start` to before `stop` in order."""
        rows = self.order[start:stop]
        if self.is_sampled is not None:
            rows = rows[self.is_sampled[rows]]
        weight = self.columns.weight
        return EdgeBatch(
            lhs=torch.from_numpy(self.columns.lhs[rows]),
            rel=torch.from_numpy(self.columns.rel[rows]),
            rhs=torch.from_numpy(self.columns.rhs[rows]),
            weight=None if weight is None else torch.from_numpy(weight[rows]),
        )


def _leave_window(cursor: Cursor) -> Cursor:
    """Returns the cursor behind the last step of the window."""
    return replace(
        cursor,
        window_start=cursor.window_start + cursor.window_rows,
        window_rows=0,
        stages=(),
    )
