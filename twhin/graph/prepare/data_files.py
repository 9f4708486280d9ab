# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The parquet files that a preparation wrote."""

from pathlib import Path

import pyarrow.parquet as pq

from twhin.graph.manifest import DataFile


def list_files(folder: Path, output: Path) -> tuple[DataFile, ...]:
    """Lists the parquet files of a folder, by name.

    Args:
      folder: A folder below `output`; it need not exist.
      output: What the paths are relative to.
    """
    return tuple(
        DataFile(
            path=path.relative_to(output).as_posix(),
            num_rows=pq.read_metadata(path).num_rows,
            size_bytes=path.stat().st_size,
        )
        for path in sorted(folder.glob("*.parquet"))
    )
