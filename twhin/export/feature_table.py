# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The vectors of an entity type as a parquet table with the original ids.

    ENTITY_TYPE_id    int64 or string
    event_timestamp   timestamp[us, UTC], the same in all rows
    embedding         list<float32> of D numbers

Feature stores join it by id and timestamp as it is.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from twhin.bundle.bundle import Bundle
from twhin.retrieval.operators import Floats

_BLOCK_ROWS = 1 << 16


def write_feature_table(
    bundle: Bundle, entity_type: str, path: Path, *, event_time: datetime
) -> None:
    """Writes the table, in the order of the bundle's rows.

    Args:
      bundle: With all shards.
      entity_type: The entity type.
      path: The file.
      event_time: The time that the vectors are of.
    """
    is_string = bundle.directories[entity_type].is_string
    id_type = pa.string() if is_string else pa.int64()
    write_vectors(
        path,
        entity_type,
        id_type,
        (
            (
                pa.array(
                    bundle.ids(entity_type, np.arange(start, start + len(block))),
                    id_type,
                ),
                block,
            )
            for start, block in bundle.tables[entity_type].blocks(_BLOCK_ROWS)
        ),
        version=bundle.version,
        event_time=event_time,
    )


def write_vectors(
    path: Path,
    entity_type: str,
    id_type: pa.DataType,
    blocks: Iterable[tuple[pa.Array, Floats]],
    *,
    version: str,
    event_time: datetime,
) -> None:
    """Writes a table of vectors.

    Args:
      path: The file.
      entity_type: The entity type.
      id_type: The type of ids.
      blocks: Ids [n] and their vectors, float32 [n, D].
      version: The version of the bundle, for the metadata.
      event_time: The time that the vectors are of.
    """
    schema = pa.schema(
        {
            f"{entity_type}_id": id_type,
            "event_timestamp": pa.timestamp("us", tz="UTC"),
            "embedding": pa.list_(pa.float32()),
        },
        metadata={"twhin.version": version, "twhin.entity_type": entity_type},
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for ids, block in blocks:
            offsets = np.arange(len(block) + 1, dtype=np.int32) * block.shape[1]
            columns = [
                ids,
                pa.array([event_time] * len(block), schema.field(1).type),
                pa.ListArray.from_arrays(offsets, pa.array(block.reshape(-1))),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
