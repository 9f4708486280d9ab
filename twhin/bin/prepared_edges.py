# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The training edges of a prepared graph, by entity; an `EdgeSource`."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from twhin.explore.edge_source import EntityEdges
from twhin.graph.edge_files import read_edges
from twhin.graph.prepared_graph import PreparedGraph

Integers = npt.NDArray[np.int64]


class PreparedEdges:
    """Holds all edges and ids in memory: 24 bytes an edge."""

    def __init__(self, folder: str) -> None:
        """Reads the graph.

        Args:
          folder: A folder that //twhin:prepare has written.

        Raises:
          DataError: It is not one, or it is damaged.
        """
        graph = PreparedGraph.open(folder)
        self._schema = graph.schema
        self._edges = read_edges(graph.edge_files("train"), graph.schema)
        self._ids = {
            each.name: graph.load_vocabulary(each.name)["id"].to_pylist()
            for each in graph.schema.entity_types
        }
        self._rows = {
            name: {entity_id: row for row, entity_id in enumerate(ids)}
            for name, ids in self._ids.items()
        }

    def edges_of(
        self, entity_type: str, entity_id: int | str, limit: int
    ) -> list[EntityEdges]:
        """See `EdgeSource`; the entities of the largest degree are named first."""
        row = self._rows.get(entity_type, {}).get(entity_id)
        if row is None:
            return []
        return list(self._edges_of(entity_type, row, limit))

    def _edges_of(
        self, entity_type: str, row: int, limit: int
    ) -> Iterator[EntityEdges]:
        edges = self._edges
        for own, others, side in (
            (edges.lhs, edges.rhs, "rhs"),
            (edges.rhs, edges.lhs, "lhs"),
        ):
            (places,) = np.nonzero(own == row)
            rel = edges.rel[places]
            for number, relation in enumerate(self._schema.relations):
                types = (relation.lhs, relation.rhs)
                own_type, other_type = types if side == "rhs" else types[::-1]
                if own_type != entity_type:
                    continue
                found = others[places[rel == number]]
                if len(found):
                    yield EntityEdges(
                        relation=relation.name,
                        side=side,
                        entity_type=other_type,
                        num_edges=len(found),
                        ids=self._names(other_type, found, limit),
                    )

    def _names(self, entity_type: str, rows: Integers, limit: int) -> list[str]:
        """Returns the ids of the first rows; rows descend in degree."""
        ids = self._ids[entity_type]
        first = np.unique(rows)[:limit].tolist()
        return [str(ids[row]) if row < len(ids) else "rare entities" for row in first]
