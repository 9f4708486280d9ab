# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What the page asks about a bundle; answers are JSON objects."""

from collections.abc import Iterator
from dataclasses import asdict
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from twhin import scoring
from twhin.bundle.bundle import Bundle
from twhin.explore.edge_source import EdgeSource
from twhin.explore.id_prefixes import IdPrefixes
from twhin.retrieval.relation_query import make_query
from twhin.retrieval.retriever import Retriever
from twhin.side import Side

MAX_NEIGHBORS = 100
_NUM_EXAMPLES = 8
_NUM_COMPLETIONS = 12
_NUM_EDGES = 20
_MAX_NORMS = 50_000

Json = dict[str, Any]


class UnknownEntityError(LookupError):
    """The bundle has no such entity type or no such entity."""


class Explorer:
    """Answers about one version of a bundle. Thread-safe."""

    def __init__(self, bundle: Bundle, edges: EdgeSource | None = None) -> None:
        """Opens the retrieval indexes.

        Args:
          bundle: The bundle, with all shards.
          edges: The edges of its graph, or None.

        Raises:
          BundleError: An index is damaged.
        """
        self._bundle = bundle
        self._edges = edges
        self._retriever = Retriever(bundle)
        self._prefixes: dict[str, IdPrefixes] = {}
        self._norms: dict[str, npt.NDArray[np.float32]] = {}
        self._lock = Lock()

    def describe(self) -> Json:
        """Returns entity types with a few ids each, and relations."""
        bundle = self._bundle
        return {
            "version": bundle.version,
            "folder": str(bundle.folder),
            "dim": bundle.dim,
            "comparator": str(bundle.comparator),
            "has_edges": self._edges is not None,
            "entity_types": [
                {
                    "name": name,
                    "num_entities": table.num_rows,
                    "row_format": str(table.row_format),
                    "is_indexed": self._retriever.is_indexed(name),
                    "examples": self._examples(name),
                }
                for name, table in bundle.tables.items()
            ],
            "relations": [
                {
                    "name": relation.name,
                    "lhs": relation.lhs,
                    "rhs": relation.rhs,
                    "operator": str(relation.operator),
                }
                for relation in bundle.relations.values()
            ],
        }

    def complete(self, entity_type: str, prefix: str) -> Json:
        """Returns some ids that begin with a prefix.

        Raises:
          UnknownEntityError: There is no such entity type.
        """
        self._check_type(entity_type)
        with self._lock:
            if entity_type not in self._prefixes:
                directory = self._bundle.directories[entity_type]
                self._prefixes[entity_type] = IdPrefixes(directory)
        prefixes = self._prefixes[entity_type]
        return {
            "ids": prefixes.complete(prefix, _NUM_COMPLETIONS),
            "is_complete": prefixes.is_complete,
        }

    def show(self, entity_type: str, text: str, k: int) -> Json:
        """Returns an entity: its vector, its neighbours, its edges.

        Args:
          entity_type: Its type.
          text: Its id as text.
          k: The number of neighbours under each relation, up to MAX_NEIGHBORS.

        Raises:
          UnknownEntityError: There is no such entity.
        """
        self._check_type(entity_type)
        k = min(max(k, 1), MAX_NEIGHBORS)
        entity_id = self._parse(entity_type, text)
        (row,) = self._bundle.find(entity_type, [entity_id]).tolist()  # type: ignore[arg-type]
        if row < 0:
            raise UnknownEntityError(f"no {entity_type} has the id {text!r}")
        edges = None
        if self._edges is not None:
            found = self._edges.edges_of(entity_type, entity_id, _NUM_EDGES)
            edges = [asdict(each) for each in found]
        return {
            "entity_type": entity_type,
            "id": text,
            "row": row,
            "vector": self._describe_vector(entity_type, row),
            "neighbors": list(self._neighbors(entity_type, row, k)),
            "edges": edges,
        }

    def _check_type(self, entity_type: str) -> None:
        if entity_type not in self._bundle.tables:
            known = ", ".join(map(repr, self._bundle.tables))
            raise UnknownEntityError(
                f"unknown entity type {entity_type!r}; known: {known}"
            )

    def _parse(self, entity_type: str, text: str) -> int | str:
        if self._bundle.directories[entity_type].is_string:
            return text
        try:
            number = int(text)
            np.int64(number)
        except (ValueError, OverflowError) as error:
            raise UnknownEntityError(
                f"ids of {entity_type} are integers; {text!r} is none"
            ) from error
        return number

    def _examples(self, entity_type: str) -> list[str]:
        num_rows = self._bundle.tables[entity_type].num_rows
        rows = np.arange(min(num_rows, _NUM_EXAMPLES))
        return list(map(str, self._bundle.ids(entity_type, rows).tolist()))

    def _describe_vector(self, entity_type: str, row: int) -> Json:
        vector = self._bundle.vectors(entity_type, np.array([row], np.int64))[0]
        norm = float(np.linalg.norm(vector))
        norms = self._sorted_norms(entity_type)
        below = np.searchsorted(norms, norm) / max(len(norms), 1)
        return {
            "values": [round(float(value), 5) for value in vector],
            "norm": norm,
            "norm_quantile": float(below),
            "mean": float(vector.mean()),
            "deviation": float(vector.std()),
            "smallest": float(vector.min()),
            "largest": float(vector.max()),
        }

    def _sorted_norms(self, entity_type: str) -> npt.NDArray[np.float32]:
        """Returns the norms of the table or of an even sample, ascending."""
        with self._lock:
            if entity_type not in self._norms:
                num_rows = self._bundle.tables[entity_type].num_rows
                size = min(num_rows, _MAX_NORMS)
                rows = np.linspace(0, num_rows - 1, size).astype(np.int64)
                vectors = self._bundle.vectors(entity_type, rows)
                norms = np.sort(np.linalg.norm(vectors, axis=1)).astype(np.float32)
                self._norms[entity_type] = norms
            return self._norms[entity_type]

    def _neighbors(self, entity_type: str, row: int, k: int) -> Iterator[Json]:
        """Yields the nearest of the same type, then those under each relation."""
        for relation, side, other in self._senses(entity_type):
            vectors = self._bundle.vectors(entity_type, np.array([row], np.int64))
            query = make_query(self._bundle, relation, side, vectors)
            own = np.array([row], np.int64) if other == entity_type else None
            found = self._retriever.search(other, query, k, exclude=own)
            count = int(found.counts[0])
            ids = self._bundle.ids(other, found.rows[0, :count]).tolist()
            scores = found.scores[0, :count].tolist()
            yield {
                "relation": relation,
                "side": str(side),
                "entity_type": other,
                "ids": list(map(str, ids)),
                "scores": [round(score, 5) for score in scores],
            }

    def _senses(self, entity_type: str) -> Iterator[tuple[str | None, Side, str]]:
        """Yields relations, the side of the neighbours, and their type."""
        yield None, Side.RHS, entity_type
        for relation in self._bundle.relations.values():
            if relation.lhs == entity_type:
                yield relation.name, Side.RHS, relation.rhs
            can_rank_lhs = (
                relation.reciprocal_parameters is not None
                or scoring.has_transpose(relation.operator, self._bundle.comparator)
            )
            if relation.rhs == entity_type and can_rank_lhs:
                yield relation.name, Side.LHS, relation.lhs
