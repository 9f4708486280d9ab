# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of ranking what brute force over a whole graph does not show."""

import numpy as np
import pytest
import torch
from torch import Tensor

from twhin.evaluation import ranker
from twhin.evaluation.candidates import Candidates
from twhin.evaluation.dense_tables import DenseTables
from twhin.evaluation.known_edges import KnownEdges
from twhin.evaluation.ranker import Ranker
from twhin.evaluation.ranking import Ranking, make_ranking
from twhin.evaluation.sharded_rows import ShardedRows
from twhin.graph.edge_columns import EdgeColumns
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema
from twhin.model.relation_operator import Query
from twhin.scoring import Comparator
from twhin.side import Side

_CPU = torch.device("cpu")


class IdentityModel:
    """Compares the known entity itself."""

    def query(self, side: Side, known: Tensor, rel: Tensor) -> Query:
        """See `QueryModel`."""
        return Query(vectors=known)


def _schema(num_rows: int) -> GraphSchema:
    return GraphSchema(
        entity_types=(EntityTypeSchema(name="user", num_entities=num_rows),),
        relations=(RelationSchema(name="follows", lhs="user", rhs="user"),),
    )


def _ranker(rows: Tensor) -> Ranker:
    schema = _schema(len(rows))
    tables = DenseTables(
        schema=schema,
        embedding_dim=rows.shape[1],
        read_rows=lambda name, start, stop: rows[start:stop],
        device=_CPU,
    )
    return Ranker(
        model=IdentityModel(),
        comparator=Comparator.DOT,
        rows=ShardedRows(tables=tables, entity_types=["user"], device=_CPU),
    )


def _ranking(lhs: list[int], rhs: list[int], num_rows: int) -> Ranking:
    edges = EdgeColumns(
        lhs=np.array(lhs),
        rel=np.zeros(len(lhs), np.int64),
        rhs=np.array(rhs),
        weight=None,
    )
    return make_ranking(
        side=Side.RHS,
        edges=edges,
        schema=_schema(num_rows),
        candidates=Candidates(entity_type="user", num_rows=num_rows),
    )


def _nothing_known(num_rows: int) -> KnownEdges:
    return KnownEdges(torch.empty(0, dtype=torch.int64), num_rows)


def test_rank_is_one_plus_better_plus_half_of_equal() -> None:
    # The scores of user 0 are the rows themselves.
    rows = torch.tensor([[1.0], [3.0], [2.0], [2.0], [2.0], [-1.0]])

    ranks = _ranker(rows).rank(_ranking([0, 0, 0], [1, 2, 5], 6), _nothing_known(6))

    # Of user 2, user 1 is better, users 3 and 4 are equal.
    assert ranks.raw.tolist() == [1.0, 3.0, 6.0]
    assert ranks.filtered.tolist() == ranks.raw.tolist()


def test_known_edges_but_the_positive_are_left_out() -> None:
    rows = torch.tensor([[1.0], [3.0], [2.0], [2.0], [2.0], [-1.0]])
    known = KnownEdges(torch.tensor([1, 2, 3]), 6)

    ranks = _ranker(rows).rank(_ranking([0], [2], 6), known)

    # Equal user 3 and better user 1 are left out, equal user 4 stays.
    assert ranks.raw.tolist() == [3.0]
    assert ranks.filtered.tolist() == [1.5]


def test_ranks_do_not_depend_on_tiles_and_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = np.random.default_rng(0)
    rows = torch.randint(-3, 4, (50, 4), generator=torch.Generator().manual_seed(0))
    ranking = _ranking(
        generator.integers(50, size=200).tolist(),
        generator.integers(50, size=200).tolist(),
        50,
    )
    pairs = np.unique(generator.integers(len(ranking.query_known) * 50, size=300))
    known = KnownEdges(torch.from_numpy(pairs), 50)
    whole = _ranker(rows.float()).rank(ranking, known)

    monkeypatch.setattr(ranker, "_CHUNK_EDGES", 37)
    small = _ranker(rows.float())
    small.tile_edges, small.tile_candidates = 11, 7
    parts = small.rank(ranking, known)

    assert parts.raw.tolist() == whole.raw.tolist()
    assert parts.filtered.tolist() == whole.filtered.tolist()


def test_limit_changes_only_ranks_above_it() -> None:
    generator = np.random.default_rng(0)
    rows = torch.randint(-3, 4, (50, 4), generator=torch.Generator().manual_seed(0))
    ranking = _ranking(
        generator.integers(50, size=80).tolist(),
        generator.integers(50, size=80).tolist(),
        50,
    )
    known = KnownEdges(torch.tensor([1, 2, 30, 31, 32]), 50)
    exact = _ranker(rows.float()).rank(ranking, known).filtered

    small = _ranker(rows.float())
    small.tile_edges, small.tile_candidates = 16, 8
    limited = small.rank(ranking, known, limit=5).filtered

    assert limited[exact <= 5].tolist() == exact[exact <= 5].tolist()
    assert bool((limited[exact > 5] > 5).all())
    assert limited.tolist() != exact.tolist()
