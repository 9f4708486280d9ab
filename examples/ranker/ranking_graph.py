# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What the ranker knows of a run's graph: ids, histories, and edges to learn from.

The graph is cut as time would cut it. TwHIN has learnt from the training edges, so
the ranker must not learn from them: to it they are the past, histories and counts.
It learns from the validation edges, which TwHIN has not seen, and is measured on
the test edges.

Letters in shapes: U users, I items, E edges.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from twhin.errors import ConfigError, did_you_mean
from twhin.graph.edge_files import read_edges
from twhin.graph.prepared_graph import PreparedGraph

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Edges of one relation.

    Attributes:
      user: [E] int64, rows.
      item: [E] int64, rows.
    """

    user: Integers
    item: Integers


@dataclass(frozen=True, kw_only=True)
class RankingGraph:
    """One relation of a prepared graph: users and the items that they act on.

    Attributes:
      user_type: The entity type on the left.
      item_type: The entity type on the right.
      user_ids: [U] int64 or str, the ids by row.
      item_ids: [I] int64 or str, the ids by row.
      past: The training edges, in order of users.
      history_starts: [U + 1] int64, where the past of each user begins in `past`.
      learning: The validation edges.
      test: The test edges.
    """

    user_type: str
    item_type: str
    user_ids: npt.NDArray[Any]
    item_ids: npt.NDArray[Any]
    past: Edges
    history_starts: Integers
    learning: Edges
    test: Edges

    @cached_property
    def user_degrees(self) -> Integers:
        """[U] int64, the length of each user's past."""
        return np.diff(self.history_starts)

    @cached_property
    def item_degrees(self) -> Integers:
        """[I] int64, how often each item is in the past."""
        return np.bincount(self.past.item, minlength=len(self.item_ids))


def load_ranking_graph(folder: str, relation: str) -> RankingGraph:
    """Reads a prepared graph.

    Args:
      folder: OUTPUT_DIR/prepared of a run.
      relation: The relation whose edges are predicted.

    Raises:
      ConfigError: There is no such relation, or it has no edges to learn from.
      DataError: The graph is missing or damaged.
    """
    graph = PreparedGraph.open(folder)
    names = [each.name for each in graph.schema.relations]
    if relation not in names:
        raise ConfigError(
            f"--relation: unknown {relation!r}; known: {', '.join(map(repr, names))}"
            f"{did_you_mean(relation, names)}"
        )
    number = names.index(relation)
    types = graph.schema.relations[number]
    past, learning, test = (
        _read(graph, split, number, relation) for split in ("train", "valid", "test")
    )
    order = np.argsort(past.user, kind="stable")
    past = Edges(user=past.user[order], item=past.item[order])
    num_users = graph.schema.num_entities(types.lhs)
    return RankingGraph(
        user_type=types.lhs,
        item_type=types.rhs,
        user_ids=_ids(graph, types.lhs),
        item_ids=_ids(graph, types.rhs),
        past=past,
        history_starts=np.searchsorted(past.user, np.arange(num_users + 1)),
        learning=learning,
        test=test,
    )


def _read(graph: PreparedGraph, split: str, number: int, relation: str) -> Edges:
    files = graph.edge_files(split)
    if files:
        edges = read_edges(files, graph.schema)
        chosen = edges.rel == number
        if chosen.any():
            return Edges(user=edges.lhs[chosen], item=edges.rhs[chosen])
    raise ConfigError(
        f"--relation: {relation!r} has no {split} edges; allowed: a relation with"
        " edges in train, valid and test"
    )


def _ids(graph: PreparedGraph, entity_type: str) -> npt.NDArray[Any]:
    ids: npt.NDArray[Any] = graph.load_vocabulary(entity_type)["id"].to_numpy()
    return ids
