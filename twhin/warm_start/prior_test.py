# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks the pull to earlier vectors against the formula, row by row."""

import pytest
import torch

from twhin.config.settings import FrozenRows
from twhin.testing.earlier_models import ModelInMemory, join_for_test
from twhin.testing.step_settings import make_table
from twhin.warm_start.prior import Prior, freeze_tables, needs_prior

EARLIER = torch.tensor([[1.0, 0.0, 2.0, 0.0], [0.0, 4.0, 0.0, 8.0]])
SOURCE = ModelInMemory({"user": EARLIER})
# Row 0 was row 1, row 1 is new, row 2 was row 0.
JOIN = [1, -1, 0]


def make_rows() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 4, generator=generator)


def test_touched_kept_rows_move_to_their_prior() -> None:
    rows, before = make_rows(), make_rows()
    table = make_table(learning_rate=0.1, l2_to_prior=0.5)
    prior = Prior(SOURCE, [join_for_test("user", rows, JOIN)], {"user": table})

    prior.apply({"user": torch.tensor([0, 1])}, 0.5)

    # x - lr l2 2 (x - p), with lr = .1 x .5 of the step's factor.
    moved = before[0] - 0.05 * 0.5 * 2 * (before[0] - EARLIER[1])
    assert torch.allclose(rows[0], moved)
    assert torch.equal(rows[1], before[1])
    assert torch.equal(rows[2], before[2])


def test_pull_does_not_go_beyond_the_prior() -> None:
    rows = make_rows()
    table = make_table(learning_rate=1.0, l2_to_prior=100.0)
    prior = Prior(SOURCE, [join_for_test("user", rows, JOIN)], {"user": table})

    prior.apply({"user": torch.tensor([2])}, 1.0)

    assert torch.equal(rows[2], EARLIER[0])


def test_kept_rows_are_put_back_and_new_ones_train() -> None:
    rows, before = make_rows(), make_rows()
    table = make_table(frozen_rows=FrozenRows.KEPT, l2_to_prior=0.5)
    prior = Prior(SOURCE, [join_for_test("user", rows, JOIN)], {"user": table})

    prior.apply({"user": torch.tensor([1, 2])}, 1.0)

    assert torch.equal(rows[2], EARLIER[0])
    assert torch.equal(rows[1], before[1])
    assert torch.equal(rows[0], before[0])


def test_half_precision_rows_are_pulled_in_single_precision() -> None:
    rows = make_rows().half()
    before = rows.clone()
    table = make_table(learning_rate=0.1, l2_to_prior=0.5)
    prior = Prior(SOURCE, [join_for_test("user", rows, JOIN)], {"user": table})

    prior.apply({"user": torch.tensor([0])}, 1.0)

    moved = before[0].float() - 0.1 * (before[0].float() - EARLIER[1])
    assert torch.equal(rows[0], moved.half())


def test_columns_are_pulled_to_their_own() -> None:
    rows = make_rows()[:, 2:]
    table = make_table(frozen_rows=FrozenRows.KEPT)
    joined = join_for_test("user", rows, JOIN, column_start=2)

    Prior(SOURCE, [joined], {"user": table}).apply({"user": torch.arange(3)}, 1.0)

    assert torch.equal(rows[0], EARLIER[1, 2:])


def test_table_without_a_prior_is_left_alone() -> None:
    rows, before = make_rows(), make_rows()
    joined = [join_for_test("user", rows, JOIN)]

    prior = Prior(SOURCE, joined, {"user": make_table()})
    prior.apply({"user": torch.arange(3)}, 1.0)

    assert torch.equal(rows, before)


@pytest.mark.parametrize(
    ("frozen_rows", "l2", "needed"),
    [
        (FrozenRows.NONE, 0.0, False),
        (FrozenRows.NONE, 0.1, True),
        (FrozenRows.KEPT, 0.0, True),
        (FrozenRows.ALL, 0.1, False),
    ],
)
def test_only_tables_that_need_it_have_a_prior(
    frozen_rows: FrozenRows, l2: float, needed: bool
) -> None:
    assert needs_prior(make_table(frozen_rows=frozen_rows, l2_to_prior=l2)) is needed


def test_frozen_tables_have_no_step_size() -> None:
    frozen = make_table(frozen_rows=FrozenRows.ALL)
    tables = freeze_tables({"user": frozen, "tweet": make_table()})

    assert tables["user"].learning_rate == 0
    assert tables["tweet"] == make_table()
