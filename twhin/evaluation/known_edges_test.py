# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the index of known edges, and of candidates."""

import numpy as np
import torch

from twhin.evaluation.candidates import Candidates
from twhin.evaluation.known_edges import KnownEdges, KnownEdgesBuilder


def _known(candidates: Candidates) -> KnownEdges:
    """Queries 0: (relation 0, entity 2), 1: (relation 0, entity 4), 2: (1, 2)."""
    builder = KnownEdgesBuilder(
        query_rel=np.array([0, 0, 1]),
        query_known=np.array([2, 4, 2]),
        num_known=5,
        candidates=candidates,
    )
    builder.add(
        rel=np.array([0, 0, 1, 0, 1]),
        known=np.array([2, 2, 2, 3, 4]),
        answer=np.array([9, 1, 5, 1, 1]),
    )
    builder.add(rel=np.array([0]), known=np.array([2]), answer=np.array([9]))
    return builder.build()


def test_only_edges_of_queries_are_kept_once() -> None:
    known = _known(Candidates(entity_type="item", num_rows=10))

    assert len(known) == 3
    queries = torch.tensor([0, 0, 1, 2])
    found = known.contains(queries, torch.tensor([9, 5, 1, 5]))
    assert found.tolist() == [True, False, False, True]


def test_find_counts_candidates_from_the_start_of_the_range() -> None:
    known = _known(Candidates(entity_type="item", num_rows=10))
    queries = torch.tensor([2, 1, 0, 0])

    positions, candidates = known.find(queries, 4, 20)

    assert positions.tolist() == [0, 2, 3]
    assert candidates.tolist() == [1, 5, 5]


def test_answers_outside_the_sample_are_no_candidates() -> None:
    candidates = Candidates(entity_type="item", num_rows=10, num_candidates=6, seed=0)
    assert candidates.sample is not None

    known = _known(candidates)

    positions, numbers = known.find(torch.tensor([0]), 0, 6)
    rows = candidates.sample[numbers.numpy()].tolist()
    assert rows == [row for row in (1, 9) if row in candidates.sample.tolist()]
    assert positions.tolist() == [0] * len(rows)


def test_sample_is_drawn_by_its_seed_without_repetition() -> None:
    def draw(seed: int) -> list[int]:
        candidates = Candidates(
            entity_type="item", num_rows=1000, num_candidates=50, seed=seed
        )
        assert candidates.sample is not None
        return [*candidates.sample.tolist()]

    assert draw(1) == draw(1) != draw(2)
    assert draw(1) == sorted(set(draw(1)))
    assert len(draw(1)) == 50
