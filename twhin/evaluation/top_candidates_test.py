# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the search for the best candidates, on one and on two ranks."""

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from twhin.evaluation import top_candidates
from twhin.evaluation.candidates import Candidates
from twhin.evaluation.comparison import Comparison
from twhin.evaluation.dense_tables import DenseTables
from twhin.evaluation.known_edges import KnownEdges
from twhin.evaluation.sharded_rows import ShardedRows
from twhin.graph.schema import EntityTypeSchema, GraphSchema
from twhin.scoring import Comparator
from twhin.testing.ranks import run_ranks

NUM_ROWS = 40
LEFT_OUT = [0, 1, 39, 40, 2 * NUM_ROWS + 7]


def _rows() -> Tensor:
    return torch.randn(NUM_ROWS, 3, generator=torch.Generator().manual_seed(0))


def _find(group: dist.ProcessGroup | None, num_wanted: int) -> Tensor:
    schema = GraphSchema(
        entity_types=(EntityTypeSchema(name="user", num_entities=NUM_ROWS),),
        relations=(),
    )
    tables = DenseTables(
        schema=schema,
        embedding_dim=3,
        read_rows=lambda name, start, stop: _rows()[start:stop],
        device=torch.device("cpu"),
        group=group,
    )
    comparison = Comparison(Comparator.NEGATIVE_L2)
    return top_candidates.find_top(
        ShardedRows(
            tables=tables,
            entity_types=["user"],
            device=torch.device("cpu"),
            group=group,
        ),
        Candidates(entity_type="user", num_rows=NUM_ROWS),
        comparison,
        queries=comparison.prepare_queries(_rows()[:3]),
        numbers=torch.arange(3),
        left_out=KnownEdges(torch.tensor(LEFT_OUT), NUM_ROWS),
        num_wanted=num_wanted,
    )


def _find_on_rank(num_wanted: int) -> Tensor:
    return _find(dist.group.WORLD, num_wanted)


def _expected(num_wanted: int) -> list[list[int]]:
    distances = torch.cdist(_rows()[:3], _rows())
    found = []
    for query in range(3):
        left_out = {pair - query * NUM_ROWS for pair in LEFT_OUT}
        order: list[int] = distances[query].argsort().tolist()
        kept = [row for row in order if row not in left_out]
        found.append((kept + [-1] * num_wanted)[:num_wanted])
    return found


@pytest.mark.parametrize("num_wanted", [4, 45])
@pytest.mark.parametrize("tile", [2, 1024])
def test_found_are_the_nearest_that_are_not_left_out(
    num_wanted: int, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top_candidates, "_TILE_QUERIES", tile)
    monkeypatch.setattr(top_candidates, "_TILE_CANDIDATES", 3 * tile)

    assert _find(None, num_wanted).tolist() == _expected(num_wanted)


def test_two_ranks_find_the_same() -> None:
    for found in run_ranks(_find_on_rank, 2, 25):
        assert found.tolist() == _expected(25)


def test_scores_that_are_no_numbers_are_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        Comparison, "scores", lambda *_: torch.full((3, NUM_ROWS), float("nan"))
    )

    assert bool((_find(None, 4) == -1).all())
