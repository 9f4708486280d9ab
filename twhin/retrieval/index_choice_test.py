# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks which index a table gets, and that a change of plan is said."""

import logging

import pytest

from twhin.bundle.kinds import IndexKind
from twhin.config import settings
from twhin.retrieval.index_choice import (
    IndexChoice,
    choose_index,
    choose_num_lists,
)
from twhin.scoring import Comparator


def _choose(
    choice: IndexChoice,
    *shard_rows: int,
    comparator: Comparator = Comparator.DOT,
    dim: int = 64,
) -> IndexKind | None:
    return choose_index(
        choice,
        entity_type="user",
        shard_rows=shard_rows,
        dim=dim,
        comparator=comparator,
    )


def test_choices_are_those_of_the_configuration() -> None:
    assert list(map(str, IndexChoice)) == list(map(str, settings.IndexChoice))


def test_size_decides() -> None:
    assert _choose(IndexChoice.AUTO, 0, 0) is None
    assert _choose(IndexChoice.AUTO, 3) is IndexKind.EXACT_FP16
    assert _choose(IndexChoice.AUTO, 100_000, 100_000) is IndexKind.EXACT_FP16
    assert _choose(IndexChoice.AUTO, 200_001) is IndexKind.IVF_FP16
    assert _choose(IndexChoice.AUTO, 80_000_000) is IndexKind.IVF_PQ


@pytest.mark.parametrize("choice", [IndexChoice.IVF_FP16, IndexChoice.IVF_PQ])
def test_what_is_asked_for_is_built(choice: IndexChoice) -> None:
    assert _choose(choice, 5000, 5000) is IndexKind(choice)
    assert _choose(IndexChoice.EXACT, 10_000_000) is IndexKind.EXACT_FP16
    assert _choose(IndexChoice.NONE, 10_000_000) is None


def test_shards_too_small_for_lists_are_searched_exactly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert _choose(IndexChoice.IVF_FP16, 5000, 1000) is IndexKind.EXACT_FP16

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "a shard has 1000 rows, fewer than 1024" in record.getMessage()


def test_there_is_no_index_for_sums_of_differences(
    caplog: pytest.LogCaptureFixture,
) -> None:
    comparator = Comparator.NEGATIVE_L1

    assert _choose(IndexChoice.AUTO, 5000, comparator=comparator) is None
    assert caplog.records == []
    assert _choose(IndexChoice.EXACT, 5000, comparator=comparator) is None
    assert "there is none for negative_l1" in caplog.text


@pytest.mark.parametrize(
    ("shard_rows", "num_lists"),
    [
        ((1024,), 32),
        ((1_000_000,), 4096),
        ((500_000, 500_000), 4096),
        ((40_000,), 1024),
    ],
)
def test_lists_are_about_four_times_the_root_of_a_shard(
    shard_rows: tuple[int, ...], num_lists: int
) -> None:
    assert choose_num_lists(shard_rows) == num_lists
