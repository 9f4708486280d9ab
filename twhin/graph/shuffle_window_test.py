# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that the ranks of all stages take each row of a window once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twhin.graph import shuffle_window
from twhin.graph.cursor import Stage
from twhin.graph.shuffle_window import Window

JOBS = st.builds(
    Stage,
    world_size=st.integers(1, 4),
    rows_per_step=st.integers(1, 5),
    num_steps=st.integers(0, 3),
)


def window(num_rows: int, *, seed: int = 0, epoch: int = 0, start: int = 0) -> Window:
    return Window(seed=seed, epoch=epoch, start=start, num_rows=num_rows)


def job(world_size: int) -> Stage:
    return Stage(world_size=world_size, rows_per_step=1, num_steps=0)


def test_ranks_share_the_rows_evenly() -> None:
    orders = [window(11).order([job(3)], rank).tolist() for rank in range(3)]

    assert [len(order) for order in orders] == [3, 4, 4]
    assert [sorted(order) for order in orders] == [
        [0, 1, 2],
        [3, 4, 5, 6],
        [7, 8, 9, 10],
    ]


def test_order_is_a_function_of_seed_epoch_start_rank_and_world_size() -> None:
    first = window(100).order([job(1)], 0).tolist()

    assert window(100).order([job(1)], 0).tolist() == first
    others = [
        window(100, seed=1).order([job(1)], 0),
        window(100, epoch=1).order([job(1)], 0),
        window(100, start=100).order([job(1)], 0),
    ]
    assert all(other.tolist() != first for other in others)
    halves = [window(100).order([job(2)], rank) for rank in (0, 1)]
    assert halves[0].tolist() != (halves[1] - 50).tolist()


def test_row_groups_are_permuted_by_seed_and_epoch() -> None:
    orders = [
        shuffle_window.row_group_order(50, seed, epoch).tolist()
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
    ]

    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert shuffle_window.row_group_order(50, 0, 0).tolist() == orders[0]


def test_steps_are_those_of_the_largest_share() -> None:
    assert shuffle_window.num_steps(0, 2, 5) == 0
    assert shuffle_window.num_steps(1, 2, 5) == 1
    assert shuffle_window.num_steps(10, 2, 5) == 1
    assert shuffle_window.num_steps(11, 2, 5) == 2


@given(num_rows=st.integers(1, 60), jobs=st.lists(JOBS, min_size=1, max_size=4))
def test_rows_of_all_stages_are_each_row_once(num_rows: int, jobs: list[Stage]) -> None:
    taken: list[int] = []
    for index, stage in enumerate(jobs):
        bound = stage.num_steps * stage.rows_per_step
        for rank in range(stage.world_size):
            order = window(num_rows).order(jobs[: index + 1], rank)
            taken += order[:bound].tolist()
    left = np.concatenate(
        [
            window(num_rows).order([*jobs, job(2)], rank)  # What is left, by two ranks.
            for rank in (0, 1)
        ]
    ).tolist()

    assert sorted(taken + left) == list(range(num_rows))
    assert window(num_rows).num_left(jobs) == len(left)
