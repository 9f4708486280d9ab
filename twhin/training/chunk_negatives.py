# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The negatives of a side's chunks: drawn ones, and entities of other ranks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twhin.training.masked_pairs import Candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkNegatives:
    """N negatives for each of P chunks.

    Attributes:
      rows: [P, N] int64, entities; any entity where there is none.
      is_absent: [P, N] bool, where there is none; None where all are there.
    """

    rows: NDArray[np.int64]
    is_absent: NDArray[np.bool_] | None

    def candidates(self) -> Candidates:
        """Returns the negatives that are there."""
        num_chunks, num_negatives = self.rows.shape
        chunk = np.repeat(np.arange(num_chunks), num_negatives)
        column = np.tile(np.arange(num_negatives), num_chunks)
        row = self.rows.reshape(-1)
        if self.is_absent is None:
            return Candidates(chunk=chunk, row=row, column=column)
        present = ~self.is_absent.reshape(-1)
        return Candidates(
            chunk=chunk[present], row=row[present], column=column[present]
        )

    def absent_pairs(
        self, chunk: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the pairs (edge, column) whose negative is not there.

        Args:
          chunk: [B] int64, the chunk of each edge.
        """
        if self.is_absent is None:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        edge, column = np.nonzero(self.is_absent[chunk])
        return edge, column


def add_shared(
    drawn: NDArray[np.int64], others: Sequence[NDArray[np.int64]], chunk_size: int
) -> ChunkNegatives:
    """Puts the entities of other ranks' chunks behind those drawn.

    Args:
      drawn: [P, N] int64.
      others: For each other rank the entities of its edges, [B] int64 with B >= 1;
        chunk p of that rank has those from p * chunk_size on.
      chunk_size: C.
    """
    num_chunks = len(drawn)
    blocks, absent = [drawn], [np.zeros(drawn.shape, dtype=np.bool_)]
    for entities in others:
        width = min(len(entities), chunk_size)
        present = entities[: num_chunks * chunk_size]
        rows = np.full(num_chunks * chunk_size, entities[0])
        rows[: len(present)] = present
        is_absent = np.arange(len(rows)) >= len(present)
        blocks.append(rows.reshape(num_chunks, chunk_size)[:, :width])
        absent.append(is_absent.reshape(num_chunks, chunk_size)[:, :width])
    all_absent = np.concatenate(absent, axis=1)
    return ChunkNegatives(
        rows=np.concatenate(blocks, axis=1),
        is_absent=all_absent if all_absent.any() else None,
    )
