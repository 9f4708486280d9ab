# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The ids of a graph's entities, in the order of their rows."""

import numpy as np
import pyarrow as pa

from twhin.bundle.id_hash import Int64Array
from twhin.bundle.utf8_ids import Utf8Ids
from twhin.graph.prepared_graph import PreparedGraph


def load_ids(graph: PreparedGraph, entity_type: str) -> Int64Array | Utf8Ids:
    """Returns the id of each row.

    A row that rare entities share has no id, and is left out: it is the last
    one. Edges that were encoded elsewhere have no ids: the rows' numbers stand
    for them.

    Raises:
      DataError: The vocabulary cannot be read.
    """
    if graph.manifest is None:
        return np.arange(graph.schema.num_entities(entity_type), dtype=np.int64)
    column = graph.load_vocabulary(entity_type)["id"]
    if graph.manifest.vocabulary(entity_type).id_type == "string":
        return _utf8_ids(column)
    ids: Int64Array = column.to_numpy()
    return ids


def _utf8_ids(column: pa.ChunkedArray) -> Utf8Ids:
    # Offsets of 64 bits: a column may hold more than 2 GiB of text.
    if not len(column):
        return Utf8Ids.from_strings([])
    array = column.cast(pa.large_string()).combine_chunks()
    _, offsets, data = array.buffers()
    starts = np.frombuffer(offsets, np.int64)[array.offset :][: len(array) + 1]
    return Utf8Ids(data=np.frombuffer(data or b"", np.uint8), offsets=starts)
