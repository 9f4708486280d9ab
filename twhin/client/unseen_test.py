# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks vectors of entities that a bundle does not have, from ids."""

from pathlib import Path

import pytest

from twhin.client.local_source import LocalSource
from twhin.client.request_error import RequestError
from twhin.client.unseen import Touched, represent
from twhin.scoring import Operator
from twhin.testing.small_bundle import (
    RelationForTest,
    TableForTest,
    write_bundle_for_test,
)


@pytest.fixture(name="source")
def _source(tmp_path: Path) -> LocalSource:
    items = TableForTest(ids=["tea", "cup"], vectors=[[1.0, 0.0], [0.0, 3.0]])
    users = TableForTest(ids=[7, 8], vectors=[[5.0, 5.0], [1.0, -1.0]])
    buys = RelationForTest(
        name="buys",
        lhs="user",
        rhs="item",
        operator=Operator.TRANSLATION,
        parameters=[10.0, 0.0],
        reciprocal_parameters=[0.0, 20.0],
    )
    write_bundle_for_test(tmp_path, {"user": users, "item": items}, [buys])
    return LocalSource(tmp_path)


def test_new_user_has_the_mean_of_what_it_bought(source: LocalSource) -> None:
    bought = Touched(
        relation="buys", unseen=[0, 0, 2, 1], ids=["tea", "cup", "cup", "spoon"]
    )

    vectors = represent(source, 3, [bought])

    assert vectors.values.tolist() == [[0.5, 21.5], [0.0, 0.0], [0.0, 23.0]]
    assert vectors.found.tolist() == [True, False, True]
    assert vectors.version == "v000001"


def test_new_item_has_the_weighted_mean_of_its_buyers(source: LocalSource) -> None:
    buyers = Touched(
        relation="buys", side="rhs", unseen=[0, 0], ids=[7, 8], weights=[1, 3]
    )

    vectors = represent(source, 1, [buyers])

    assert vectors.values.tolist() == [[12.0, 0.5]]


def test_ids_and_relations_are_checked(source: LocalSource) -> None:
    with pytest.raises(TypeError, match="ids of 'item'"):
        represent(source, 1, [Touched(relation="buys", unseen=[0], ids=[7])])
    with pytest.raises(RequestError, match="'sells'"):
        represent(source, 1, [Touched(relation="sells", unseen=[0], ids=["tea"])])
