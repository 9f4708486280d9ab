# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""All row groups of an epoch laid end to end, read by position."""

import numpy as np

from twhin.graph import shuffle_window
from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.edge_files import EdgeFiles, RowGroup


class RowLine:
    """The rows of all files in the order of an epoch's shuffled row groups.

    Keeps the last row group that it decoded: the next range often begins inside it.
    Not safe for concurrent use.
    """

    def __init__(self, files: EdgeFiles, seed: int, epoch: int) -> None:
        """Shuffles the row groups.

        Args:
          files: The files.
          seed: The seed of the run.
          epoch: The epoch.
        """
        self._files = files
        order = shuffle_window.row_group_order(len(files.row_groups), seed, epoch)
        self._row_groups = [files.row_groups[index] for index in order]
        self._starts = np.cumsum([0, *(group.num_rows for group in self._row_groups)])
        self._last_read: tuple[RowGroup, EdgeColumns] | None = None

    def read(self, start: int, stop: int) -> EdgeColumns:
        """Reads the rows at the positions from `start` to before `stop`.

        Raises:
          DataError: As `EdgeFiles.read`.
        """
        num_rows = stop - start
        has_weight = self._files.has_weight
        found = EdgeColumns(
            lhs=np.empty(num_rows, dtype=np.int64),
            rel=np.empty(num_rows, dtype=np.int64),
            rhs=np.empty(num_rows, dtype=np.int64),
            weight=np.empty(num_rows, dtype=np.float32) if has_weight else None,
        )
        position = start
        while position < stop:
            index = int(np.searchsorted(self._starts, position, side="right")) - 1
            begin = int(self._starts[index])
            end = min(stop, int(self._starts[index + 1]))
            source = self._read_row_group(self._row_groups[index])
            into = slice(position - start, end - start)
            rows = slice(position - begin, end - begin)
            found.lhs[into] = source.lhs[rows]
            found.rel[into] = source.rel[rows]
            found.rhs[into] = source.rhs[rows]
            if found.weight is not None and source.weight is not None:
                found.weight[into] = source.weight[rows]
            position = end
        return found

    def _read_row_group(self, row_group: RowGroup) -> EdgeColumns:
        if self._last_read is None or self._last_read[0] != row_group:
            self._last_read = None  # Frees its memory before the next is decoded.
            self._last_read = (row_group, self._files.read(row_group))
        return self._last_read[1]
