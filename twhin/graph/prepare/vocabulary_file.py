# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The files of a vocabulary: the same bytes, whichever engine sorted the rows."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 1 << 18
# Numbers take as many bits as their differences need.
_NUMBERS, _TEXTS = "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY"


def write_numbered(
    batches: Iterable[pa.RecordBatch], *, start: int, limit: int | None, folder: Path
) -> int:
    """Numbers rows in the order in which they come, and writes them in one pass.

    Args:
      batches: Rows of `id` (int64 or string) and `degree` (int64).
      start: The first number.
      limit: The largest count of rows that are written; None for all.
      folder: Where a further file is written, if there are rows; its name sorts
        behind those that are there.

    Returns:
      The number of rows written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"part-{len(list(folder.iterdir())):05d}.parquet"
    tables = _row_groups(batches, limit)
    first = next(tables, None)
    if first is None:
        return 0
    is_text = not pa.types.is_integer(first["id"].type)
    id_type = pa.string() if is_text else pa.int64()
    schema = pa.schema({"id": id_type, "index": pa.int64(), "degree": pa.int64()})
    writer = pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=False,
        data_page_version="2.0",
        store_schema=False,
        column_encoding={
            "id": _TEXTS if is_text else _NUMBERS,
            "index": _NUMBERS,
            "degree": _NUMBERS,
        },
    )
    num_rows = 0
    with writer:
        for table in itertools.chain([first], tables):
            first_index = start + num_rows
            num_rows += len(table)
            index = np.arange(first_index, start + num_rows, dtype=np.int64)
            numbered = table.append_column("index", pa.array(index))
            writer.write_table(
                numbered.select(schema.names).cast(schema),
                row_group_size=ROW_GROUP_ROWS,
            )
    return num_rows


def _row_groups(
    batches: Iterable[pa.RecordBatch], limit: int | None
) -> Iterator[pa.Table]:
    """Yields tables of `ROW_GROUP_ROWS` rows, the last one with the rest."""
    left = limit
    held: list[pa.RecordBatch] = []
    num_held = 0
    for batch in batches:
        if left is not None:
            batch = batch.slice(0, left)
            left -= len(batch)
        held.append(batch)
        num_held += len(batch)
        if num_held < ROW_GROUP_ROWS:
            continue
        table = pa.Table.from_batches(held)
        while num_held >= ROW_GROUP_ROWS:
            yield table.slice(0, ROW_GROUP_ROWS).combine_chunks()
            table = table.slice(ROW_GROUP_ROWS)
            num_held -= ROW_GROUP_ROWS
        held = table.to_batches()
    if num_held:
        yield pa.Table.from_batches(held).combine_chunks()
