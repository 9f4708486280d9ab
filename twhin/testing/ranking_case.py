# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A tiny encoded graph with tables of whole numbers, and its ranks by brute force."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema
from twhin.model.relation_model import RelationModel
from twhin.scoring import Comparator, Operator
from twhin.side import Side

SCHEMA = GraphSchema(
    entity_types=(
        EntityTypeSchema(name="user", num_entities=7),
        EntityTypeSchema(name="item", num_entities=11),
    ),
    relations=(
        RelationSchema(name="likes", lhs="user", rhs="item"),
        RelationSchema(name="follows", lhs="user", rhs="user"),
        RelationSchema(name="views", lhs="user", rhs="item"),
    ),
)

Edge = tuple[int, int, int]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class EncodedGraph:
    """Edges in files, as a `PreparedGraph` has them.

    Attributes:
      schema: Entity types and relations.
      edges: By split, each edge as (lhs, rel, rhs).
      folder: Where the files are, SPLIT.parquet.
    """

    schema: GraphSchema
    edges: Mapping[str, Sequence[Edge]]
    folder: Path

    def edge_files(self, split: str) -> tuple[str, ...]:
        """Returns the file of a split; none where it has no edges."""
        return (str(self.folder / f"{split}.parquet"),) if self.edges[split] else ()


def write_graph(
    folder: Path,
    *,
    train: Sequence[Edge] = (),
    valid: Sequence[Edge] = (),
    test: Sequence[Edge] = (),
    schema: GraphSchema = SCHEMA,
) -> EncodedGraph:
    """Writes the edge files of a graph."""
    edges = {"train": train, "valid": valid, "test": test}
    for split, rows in edges.items():
        if rows:
            columns = np.array(rows, dtype=np.int64).T
            names = ("lhs", "rel", "rhs")
            table = pa.table(dict(zip(names, columns, strict=True)))
            # Several row groups, so that an edge's position is not its row.
            pq.write_table(table, folder / f"{split}.parquet", row_group_size=5)
    return EncodedGraph(schema=schema, edges=edges, folder=folder)


def write_random_graph(folder: Path, seed: int = 0) -> EncodedGraph:
    """Writes a graph with repeated edges, within a split and across splits."""
    generator = np.random.default_rng(seed)
    sizes = {each.name: each.num_entities for each in SCHEMA.entity_types}

    def draw(count: int) -> list[Edge]:
        found = []
        for rel in generator.integers(len(SCHEMA.relations), size=count).tolist():
            relation = SCHEMA.relations[rel]
            lhs = int(generator.integers(sizes[relation.lhs]))
            # Squared: some entities are popular.
            rhs = int(generator.random() ** 2 * sizes[relation.rhs])
            found.append((lhs, rel, rhs))
        return found

    train = draw(50)
    return write_graph(
        folder, train=train, valid=draw(12), test=[*draw(14), train[0], train[1]]
    )


def random_tables(
    schema: GraphSchema = SCHEMA, *, dim: int = 4, seed: int = 0
) -> dict[str, Tensor]:
    """Returns [n, D] float32 of small whole numbers: exact scores, many ties."""
    generator = torch.Generator().manual_seed(seed)
    return {
        each.name: torch.randint(
            -2, 3, (each.num_entities, dim), generator=generator
        ).float()
        for each in schema.entity_types
    }


def random_model(
    comparator: Comparator, *, dim: int = 4, num_relations: int = 3
) -> RelationModel:
    """Returns reciprocal translations by small whole numbers."""
    model = RelationModel(
        operators=[Operator.TRANSLATION] * num_relations,
        embedding_dim=dim,
        comparator=comparator,
        reciprocal=True,
    )
    generator = torch.Generator().manual_seed(1)
    for parameters in model.parameters():
        parameters.data = torch.randint(
            -1, 2, parameters.shape, generator=generator
        ).float()
    return model


class RankingOracle:
    """Scores and ranks one query at a time, in float64."""

    def __init__(
        self,
        *,
        graph: EncodedGraph,
        model: RelationModel,
        tables: Mapping[str, Tensor],
    ) -> None:
        """Joins edges, model and tables."""
        self._graph = graph
        self._model = model
        self._tables = tables

    @torch.no_grad()
    def scores(self, side: Side, edge: Edge) -> Scores:
        """Returns the score of every entity on a side of an edge."""
        lhs, rel, rhs = edge
        relation = self._graph.schema.relations[rel]
        known_type, known, ranked_type = (
            (relation.rhs, rhs, relation.lhs)
            if side is Side.LHS
            else (relation.lhs, lhs, relation.rhs)
        )
        vectors = self._tables[known_type][known : known + 1].float()
        query = self._model.query(side, vectors, torch.tensor([rel])).vectors[0]
        return compare(
            self._model.comparator_kind,
            query.numpy().astype(np.float64),
            self._tables[ranked_type].numpy().astype(np.float64),
        )

    def degrees(self, side: Side, edge: Edge) -> Scores:
        """Returns the training edges of every entity on a side, in the relation."""
        relation = self._graph.schema.relations[edge[1]]
        ranked_type = relation.lhs if side is Side.LHS else relation.rhs
        found = np.zeros(self._graph.schema.num_entities(ranked_type))
        for each in self._graph.edges["train"]:
            if each[1] == edge[1]:
                found[_answer(side, each)] += 1
        return found

    def known(self, side: Side, edge: Edge, splits: Collection[str]) -> set[int]:
        """Returns all entities on a side that make a known edge."""
        return {
            _answer(side, each)
            for split in splits
            for each in self._graph.edges[split]
            if each[1] == edge[1] and _other(side, each) == _other(side, edge)
        }


def rank(scores: Scores, positive: int, candidates: Collection[int]) -> float:
    """Returns 1 + better + equal / 2 over the candidates but the positive."""
    others = [scores[each] - scores[positive] for each in set(candidates) - {positive}]
    return 1.0 + sum(0.5 if abs(d) < 1e-9 else float(d > 0) for d in others)


def compare(comparator: Comparator, query: Scores, rows: Scores) -> Scores:
    """Returns [N] for a query [D] and rows [N, D]."""
    differences = rows - query
    found: Scores
    match comparator:
        case Comparator.DOT:
            found = rows @ query
        case Comparator.COSINE:
            norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
            found = (rows @ query) / np.maximum(norms, 1e-12)
        case Comparator.NEGATIVE_L2:
            found = -np.linalg.norm(differences, axis=1)
        case Comparator.NEGATIVE_SQUARED_L2:
            found = -(differences**2).sum(axis=1)
        case Comparator.NEGATIVE_L1:
            found = -np.abs(differences).sum(axis=1)
    return found


def _answer(side: Side, edge: Edge) -> int:
    return edge[0] if side is Side.LHS else edge[2]


def _other(side: Side, edge: Edge) -> int:
    return edge[2] if side is Side.LHS else edge[0]
