# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Which rows of this rank's tables an earlier model has."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from twhin.checkpoint.table_part import TablePart
from twhin.graph.prepared_graph import PreparedGraph
from twhin.warm_start.earlier_model import EarlierModel
from twhin.warm_start.ranks import Ranks


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedPart:
    """A part of a table with the earlier row of each of its rows.

    Attributes:
      entity_type: The entity type of the table.
      part: This rank's rows; views.
      earlier_rows: [n] int64; -1 where the entity is new.
    """

    entity_type: str
    part: TablePart
    earlier_rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinCounts:
    """Entities of one type, on all ranks.

    Attributes:
      num_kept: Those in both models.
      num_new: Those of the graph of now only.
      num_gone: Those of the earlier model only.
    """

    num_kept: int
    num_new: int
    num_gone: int


def join_parts(
    source: EarlierModel,
    graph: PreparedGraph,
    tables: Mapping[str, Sequence[TablePart]],
) -> list[JoinedPart]:
    """Joins the rows that this rank holds.

    Args:
      source: The earlier model.
      graph: The graph of now.
      tables: This rank's parts by entity type.

    Raises:
      DataError: The ids of the two cannot be compared.
    """
    return [
        JoinedPart(
            entity_type=name,
            part=part,
            earlier_rows=source.join(
                graph, name, range(part.start, part.start + part.rows.shape[0])
            ),
        )
        for name, parts in tables.items()
        for part in parts
    ]


def count_entities(
    source: EarlierModel,
    graph: PreparedGraph,
    joined: Iterable[JoinedPart],
    ranks: Ranks,
) -> dict[str, JoinCounts]:
    """Counts the entities of each type; a collective."""
    names = [entity_type.name for entity_type in graph.schema.entity_types]
    counts = torch.zeros(len(names), 2, dtype=torch.int64)
    for one in joined:
        # A table that is divided by columns counts once.
        if one.part.column_start == 0:
            num_kept = int((one.earlier_rows >= 0).sum())
            place = names.index(one.entity_type)
            counts[place, 0] += num_kept
            counts[place, 1] += len(one.earlier_rows) - num_kept
    ranks.sum_over_ranks(counts)
    return {
        name: JoinCounts(
            num_kept=num_kept,
            num_new=num_new,
            num_gone=source.num_rows(name) - num_kept,
        )
        for name, (num_kept, num_new) in zip(names, counts.tolist(), strict=True)
    }
