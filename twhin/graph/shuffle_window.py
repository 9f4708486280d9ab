# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The order in which an epoch's edges are read, and how ranks share it.

An epoch's order begins with the row groups of all files, shuffled and laid end to
end: row i of that line has position i. Consecutive windows are cut from the line.
The rows of a window are divided evenly over the ranks, a contiguous piece each, so
that a rank decodes little more than its own rows; each rank permutes its piece and
takes `rows_per_step` rows of it in each step. A window has a whole number of steps,
except for the last one.

So all rows before the current window have been read, by any number of ranks, and
a job with another number of ranks can go on from there. Within the window it
takes what the steps so far have left over, divides that evenly, and permutes again:
another *stage* of the window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twhin.graph.cursor import Stage

# Distinguishes the draws that are made with one seed.
_ROW_GROUP_ORDER, _PIECE_ORDER = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Rows of the line that are shuffled together.

    Attributes:
      seed: The seed of the run.
      epoch: The epoch.
      start: Position of the first row.
      num_rows: The number of rows.
    """

    seed: int
    epoch: int
    start: int
    num_rows: int

    def order(self, stages: Sequence[Stage], rank: int) -> NDArray[np.int64]:
        """Returns the rows that a rank reads in the last of some stages.

        Args:
          stages: The jobs that read from the window, at least one; the number of
            steps of the last one does not matter.
          rank: In [0, world size of the last stage).

        Returns:
          [n] int64, positions from the window's start, in order. n differs
          between ranks by at most 1.
        """
        left = self._left_over(stages[:-1])
        piece = self._piece(
            self.num_rows if left is None else len(left),
            len(stages) - 1,
            stages[-1].world_size,
            rank,
        )
        return piece if left is None else left[piece]

    def num_left(self, stages: Sequence[Stage]) -> int:
        """Returns the number of rows that all stages have left over."""
        num_rows = self.num_rows
        for stage in stages:
            bounds = _bounds(num_rows, stage.world_size)
            taken = stage.num_steps * stage.rows_per_step
            num_rows -= int(np.minimum(np.diff(bounds), taken).sum())
        return num_rows

    def _left_over(self, stages: Sequence[Stage]) -> NDArray[np.int64] | None:
        """Returns the rows that the stages leave; None for all, in order."""
        left: NDArray[np.int64] | None = None
        for index, stage in enumerate(stages):
            num_rows = self.num_rows if left is None else len(left)
            taken = stage.num_steps * stage.rows_per_step
            pieces = [
                self._piece(num_rows, index, stage.world_size, rank)[taken:]
                for rank in range(stage.world_size)
            ]
            remaining = np.concatenate(pieces)
            left = remaining if left is None else left[remaining]
        return left

    def _piece(
        self, num_rows: int, stage: int, world_size: int, rank: int
    ) -> NDArray[np.int64]:
        """Returns a rank's share of [0, num_rows) in a random order."""
        start, stop = _bounds(num_rows, world_size)[rank : rank + 2]
        random = np.random.default_rng(
            (self.seed, _PIECE_ORDER, self.epoch, self.start, stage, world_size, rank)
        )
        piece = random.permutation(int(stop - start))
        piece += start
        return piece


def row_group_order(num_row_groups: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Returns the order of the row groups in the line of an epoch."""
    random = np.random.default_rng((seed, _ROW_GROUP_ORDER, epoch))
    return random.permutation(num_row_groups)


def num_steps(num_rows: int, world_size: int, rows_per_step: int) -> int:
    """Returns the steps in which ranks that share some rows evenly take them."""
    return -(-num_rows // (world_size * rows_per_step))


def _bounds(num_rows: int, world_size: int) -> NDArray[np.int64]:
    """Returns the [world_size + 1] bounds of the ranks' even shares."""
    return np.arange(world_size + 1, dtype=np.int64) * num_rows // world_size
