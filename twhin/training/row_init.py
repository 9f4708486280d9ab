# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The random start of embedding rows, the same for every number of ranks."""

import concurrent.futures
import hashlib

import torch

from twhin.checkpoint.table_part import TablePart

_ROWS_PER_DRAW = 65_536


def initialize_rows(
    part: TablePart,
    *,
    table: str,
    num_rows: int,
    embedding_dim: int,
    init_scale: float,
    seed: int,
) -> None:
    """Fills a part with draws from the normal distribution N(0, init_scale^2).

    Rows are drawn in runs of 65,536, each with a generator of its own that
    depends on the seed, the table and the number of the run only. So a row
    starts from the same values wherever the table is cut.

    Args:
      part: The rows to fill.
      table: The name of the table.
      num_rows: The number of rows of the whole table.
      embedding_dim: D, the number of columns of the whole table.
      init_scale: The standard deviation.
      seed: The seed of the run.
    """
    stop = part.start + part.rows.shape[0]
    columns = slice(part.column_start, part.column_start + part.rows.shape[1])

    def fill(run: int) -> None:
        first = run * _ROWS_PER_DRAW
        last = min(first + _ROWS_PER_DRAW, num_rows)
        low, high = max(first, part.start), min(last, stop)
        # A run is drawn whole: the numbers depend on how many are drawn.
        drawn = torch.randn(
            last - first, embedding_dim, generator=_generator(table, run, seed)
        )
        part.rows[low - part.start : high - part.start] = (
            drawn[low - first : high - first, columns] * init_scale
        )

    runs = range(part.start // _ROWS_PER_DRAW, -(-stop // _ROWS_PER_DRAW))
    with concurrent.futures.ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(fill, runs))


def _generator(table: str, run: int, seed: int) -> torch.Generator:
    """Returns the generator of one run of rows."""
    digest = hashlib.sha256(f"{seed}/{table}/{run}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
