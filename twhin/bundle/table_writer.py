# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes the rows of a table shard by shard."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy.typing as npt

from twhin.bundle.file_writer import FileWriter
from twhin.v1 import bundle_pb2


def shard_path(entity_type: str, shard: int, num_shards: int) -> str:
    """Returns the path of a shard's file in the folder of a version."""
    return f"tables/{entity_type}/shard-{shard:05d}-of-{num_shards:05d}.bin"


def write_shard(
    folder: Path,
    path: str,
    start_row: int,
    blocks: Iterable[npt.NDArray[Any]],
) -> bundle_pb2.TableShard:
    """Writes one shard; returns the entry of the manifest.

    Args:
      folder: The folder of the bundle version.
      path: See `shard_path`.
      start_row: The first row.
      blocks: The rows in order, as `encode_rows` gives them.
    """
    stop_row = start_row
    with FileWriter(folder, path) as writer:
        for block in blocks:
            writer.write(block)
            stop_row += len(block)
    return bundle_pb2.TableShard(
        start_row=start_row, stop_row=stop_row, file=writer.entry
    )
