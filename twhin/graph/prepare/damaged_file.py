# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Which parquet file is damaged, once an engine could not read all of them."""

from collections.abc import Iterable

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from twhin.graph.prepare.input_files import RawSource
from twhin.graph.prepare.source_columns import mapped_columns


def find_damage(sources: Iterable[RawSource]) -> str | None:
    """Reads all mapped columns of all files until one cannot be read.

    Args:
      sources: Sources of parquet files.

    Returns:
      The text of an error about that file; None if all can be read.
    """
    for source in sources:
        columns = list(mapped_columns(source.settings).values())
        for file in source.files:
            reason = _read(file, columns)
            if reason is not None:
                return f"{file}: damaged ({reason}); allowed: complete parquet files"
    return None


def _read(file: str, columns: list[str]) -> str | None:
    try:
        with fsspec.open(file, "rb") as stream:
            for _ in pq.ParquetFile(stream).iter_batches(columns=columns):
                pass
    except (OSError, pa.ArrowException) as error:
        return " ".join(str(error).split())[:200]
    return None
