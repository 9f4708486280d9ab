# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The vocabulary of one entity type: which ids have a row, and which row.

    rows [0, b)     the ids of the base vocabulary, at their old index
    rows [b, k)     ids of training edges, by falling degree, equal degrees by id
    rows [k, n)     ids of held-out edges alone, by id, if those are kept
    row n           all rare ids together, if they share a row

The degree of an id is the number of ends that training edges have in it: an edge
from an id to itself counts twice, an undirected edge counts once at each end. Ids
are ordered as numbers, or as UTF-8 bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twhin.config.settings import EntityType, RareEntities, RawEdges, UnseenEntities
from twhin.errors import DataError
from twhin.graph.manifest import SPLITS, VocabularyManifest
from twhin.graph.prepare import sql
from twhin.graph.prepare.base_vocabulary import BaseVocabulary
from twhin.graph.prepare.data_files import list_files
from twhin.graph.prepare.edge_views import EdgeViews
from twhin.graph.prepare.engine import Engine
from twhin.graph.prepare.relations import GraphRelations

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A written vocabulary.

    Attributes:
      manifest: What is in it.
      num_rows: Rows of the entity type's table.
      codes: The view of `id, index, degree` that edges are encoded with: the
        vocabulary and, where rare ids share a row, those with its index.
    """

    manifest: VocabularyManifest
    num_rows: int
    codes: str


class VocabularyWriter:
    """Writes the vocabularies of a graph, one after the other."""

    def __init__(
        self,
        engine: Engine,
        raw: RawEdges,
        relations: GraphRelations,
        edges: EdgeViews,
        base: BaseVocabulary | None,
        output: Path,
    ) -> None:
        """Makes a writer.

        Args:
          engine: The engine that holds the edge views.
          raw: The configuration.
          relations: The relations of the graph.
          edges: The edges.
          base: The earlier preparation whose ids keep their index.
          output: The folder of the graph; vocabularies go to `vocabulary/NAME`.
        """
        self._engine = engine
        self._raw = raw
        self._relations = relations
        self._edges = edges
        self._base = base
        self._output = output

    def write(self, entity_type: EntityType, position: int, id_type: str) -> Vocabulary:
        """Writes the vocabulary of one entity type.

        Args:
          entity_type: The configuration of the type.
          position: Its index.
          id_type: "int64" or "string".

        Raises:
          DataError: No training edge touches the type, or it has more ids than
            the configured number of rows.
        """
        self._engine.begin(f"vocabulary of {entity_type.name}")
        degrees = f"degrees_{position}"
        self._engine.materialize(degrees, self._degree_query(entity_type.name))
        histogram = dict(
            self._engine.rows(f"SELECT degree, count(*) FROM {degrees} GROUP BY 1")
        )
        folder = self._output / "vocabulary" / entity_type.name
        num_base, num_new, num_gone = self._write_trained(entity_type, degrees, folder)
        shares_row = entity_type.rare_entities is RareEntities.SHARED_ROW
        num_unseen = self._write_unseen(degrees, folder, num_base + num_new, shares_row)
        num_ids = num_base + num_new + num_unseen
        num_trained = sum(count for degree, count in histogram.items() if degree)
        num_rare = num_trained - (num_base - num_gone) - num_new
        if num_ids == 0:
            raise DataError(
                f"graph.entity_types: no entity of type {entity_type.name!r} is left"
                f" (min_degree = {entity_type.min_degree}); allowed: training edges"
                " that touch it"
            )
        shared_row = num_ids if shares_row and num_rare else None
        codes = self._define_codes(folder, degrees, position, shared_row)
        return Vocabulary(
            manifest=VocabularyManifest(
                entity_type=entity_type.name,
                id_type=id_type,
                num_ids=num_ids,
                num_rare=num_rare,
                num_unseen=num_unseen,
                shared_row=shared_row,
                shared_row_degree=self._shared_degree(codes, shared_row),
                num_new=None if self._base is None else num_new,
                num_gone=None if self._base is None else num_gone,
                degree_quantiles=quantiles(histogram),
                files=list_files(folder, self._output),
            ),
            num_rows=_num_rows(entity_type, num_ids + (shared_row is not None)),
            codes=codes,
        )

    def _degree_query(self, name: str) -> str:
        """Returns a query of `id, degree, held_out` over all edges of a type."""
        keeps_unseen = self._raw.unseen_entities is UnseenEntities.KEEP
        splits: Sequence[str] = SPLITS if keeps_unseen else ("train",)
        ends = []
        for (split, pair), view in self._edges.views.items():
            if split not in splits:
                continue
            for side, entity_type in zip(
                ("lhs", "rhs"), self._relations.pairs[pair], strict=True
            ):
                if entity_type == name:
                    trained = 1 if split == "train" else 0
                    ends.append(
                        f"SELECT {side} AS id, {trained} AS trained FROM {view}"
                    )
        if not ends:
            raise DataError(
                f"graph.entity_types: no edge touches entity type {name!r}; allowed:"
                " entity types with training edges"
            )
        counts = "count(*) AS degree, CAST(0 AS BIGINT) AS held_out"
        if keeps_unseen:
            counts = (
                "CAST(sum(trained) AS BIGINT) AS degree,"
                " CAST(sum(1 - trained) AS BIGINT) AS held_out"
            )
        return f"SELECT id, {counts} FROM ({sql.union_all(ends)}) AS ends GROUP BY id"

    def _write_trained(
        self, entity_type: EntityType, degrees: str, folder: Path
    ) -> tuple[int, int, int]:
        """Writes the rows [0, k); returns b, k - b and how many ids are gone."""
        source, condition = degrees, "TRUE"
        num_base = num_gone = 0
        base_folder = self._base and self._base.files(entity_type.name)
        if base_folder:
            base = f"base_{degrees}"
            self._engine.define(base, f"SELECT * FROM {self._engine.scan(base_folder)}")
            old = (
                "SELECT b.id AS id, b.index AS old_index, COALESCE(d.degree, 0) AS degree"
                f" FROM {base} AS b LEFT JOIN {degrees} AS d ON b.id = d.id"
            )
            num_base = self._engine.write_indexed(
                old, order_by="old_index", start=0, limit=None, folder=folder
            )
            ((num_gone,),) = self._engine.rows(
                f"SELECT count(*) FROM ({old}) AS old WHERE degree = 0"
            )
            source = (
                f"(SELECT d.* FROM {degrees} AS d LEFT JOIN {base} AS b ON d.id = b.id"
                " WHERE b.id IS NULL) AS new_ids"
            )
        condition = f"degree >= {entity_type.min_degree}"
        limit = entity_type.max_entities
        num_new = self._engine.write_indexed(
            f"SELECT id, degree FROM {source} WHERE {condition}",
            order_by="degree DESC, id",
            start=num_base,
            limit=None if limit is None else max(0, limit - num_base),
            folder=folder,
        )
        return num_base, num_new, num_gone

    def _write_unseen(
        self, degrees: str, folder: Path, start: int, shares_row: bool
    ) -> int:
        """Writes the rows [k, n); returns n - k."""
        if self._raw.unseen_entities is not UnseenEntities.KEEP:
            return 0
        condition = "d.held_out > 0"
        if shares_row:
            condition += " AND d.degree = 0"
        unseen = f"SELECT d.id AS id, d.degree AS degree FROM {degrees} AS d"
        if start:
            unseen += f" LEFT JOIN {self._engine.scan(folder)} AS v ON d.id = v.id"
            condition += " AND v.id IS NULL"
        return self._engine.write_indexed(
            f"SELECT id, CAST(0 AS BIGINT) AS degree FROM ({unseen} WHERE {condition})"
            " AS unseen",
            order_by="id",
            start=start,
            limit=None,
            folder=folder,
        )

    def _define_codes(
        self, folder: Path, degrees: str, position: int, shared_row: int | None
    ) -> str:
        codes = f"codes_{position}"
        vocabulary = self._engine.scan(folder)
        query = f"SELECT id, index, degree FROM {vocabulary}"
        if shared_row is not None:
            query += (
                f" UNION ALL SELECT d.id, CAST({shared_row} AS BIGINT), d.degree"
                f" FROM {degrees} AS d LEFT JOIN {vocabulary} AS v ON d.id = v.id"
                " WHERE v.id IS NULL AND d.degree > 0"
            )
        self._engine.define(codes, query)
        return codes

    def _shared_degree(self, codes: str, shared_row: int | None) -> int:
        if shared_row is None:
            return 0
        ((degree,),) = self._engine.rows(
            f"SELECT CAST(sum(degree) AS BIGINT) FROM {codes} WHERE index = {shared_row}"
        )
        return int(degree)


def quantiles(histogram: dict[int, int]) -> dict[str, int]:
    """Returns quantiles of the degrees of ids that training edges touch.

    The quantile q of n sorted degrees is the one at position floor(q (n - 1)).

    Args:
      histogram: The number of ids by degree; degree 0 is left out.
    """
    counts = sorted((degree, count) for degree, count in histogram.items() if degree)
    total = sum(count for _, count in counts)
    result = {}
    for quantile in QUANTILES if total else ():
        position = int(quantile * (total - 1))
        for degree, count in counts:
            if position < count:
                result[f"{quantile:g}"] = degree
                break
            position -= count
    return result


def _num_rows(entity_type: EntityType, num_needed: int) -> int:
    if entity_type.num_entities is None:
        return num_needed
    if entity_type.num_entities < num_needed:
        raise DataError(
            f"graph.entity_types: num_entities = {entity_type.num_entities} of"
            f" {entity_type.name!r} is too small; allowed: at least {num_needed}, or"
            " unset"
        )
    return entity_type.num_entities
