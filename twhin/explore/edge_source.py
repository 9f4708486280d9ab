# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The interface of the edges of a graph, by entity."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityEdges:
    """The edges of an entity under one relation, on one side.

    Attributes:
      relation: The relation.
      side: The side that the others stand on, "lhs" or "rhs".
      entity_type: The type of the others.
      num_edges: How many edges there are.
      ids: The ids of some of the others, as text.
    """

    relation: str
    side: str
    entity_type: str
    num_edges: int
    ids: list[str]


class EdgeSource(Protocol):
    """The training edges of a graph."""

    def edges_of(
        self, entity_type: str, entity_id: int | str, limit: int
    ) -> list[EntityEdges]:
        """Returns the edges of an entity, relations and sides that have any.

        Args:
          entity_type: The entity type.
          entity_id: Its id; an unknown one has no edges.
          limit: The largest number of ids for each relation and side.
        """
