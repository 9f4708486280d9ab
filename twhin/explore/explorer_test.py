# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the answers about a bundle."""

from pathlib import Path

import pytest

from twhin.bundle.bundle import Bundle
from twhin.explore.explorer import Explorer, UnknownEntityError
from twhin.explore.id_prefixes import IdPrefixes
from twhin.scoring import Operator
from twhin.testing.small_bundle import (
    RelationForTest,
    TableForTest,
    write_bundle_for_test,
)

# "a" likes 7 best (3 * 1 = 3, then 8 with 2), and is most like "b".
_USERS: dict[str, list[float]] = {"a": [1, 0], "b": [0.5, 0], "c": [0, 2], "a1": [0, 0]}
_ITEMS: dict[int, list[float]] = {7: [3, 0], 8: [2, 1], -9: [0, 5]}


@pytest.fixture(name="bundle")
def _bundle(tmp_path: Path) -> Bundle:
    write_bundle_for_test(
        tmp_path,
        {
            "user": TableForTest(ids=list(_USERS), vectors=list(_USERS.values())),
            "item": TableForTest(ids=list(_ITEMS), vectors=list(_ITEMS.values())),
        },
        [
            RelationForTest(name="likes", lhs="user", rhs="item"),
            RelationForTest(
                name="knows",
                lhs="user",
                rhs="user",
                operator=Operator.TRANSLATION,
                parameters=[0, 1],
                reciprocal_parameters=[0, 0],
            ),
        ],
    )
    return Bundle.open(tmp_path)


def _neighbors(explorer: Explorer, kind: str, entity_id: str) -> dict[str, list[str]]:
    return {
        f"{found['relation']} {found['side']}": found["ids"]
        for found in explorer.show(kind, entity_id, 2)["neighbors"]
    }


def test_neighbours_follow_every_relation_in_both_directions(bundle: Bundle) -> None:
    explorer = Explorer(bundle)

    # The query of "knows" to the right is [1, 0] + [0, 1], to the left [1, 0].
    of_user = _neighbors(explorer, "user", "a")
    assert list(of_user) == ["None rhs", "likes rhs", "knows rhs", "knows lhs"]
    assert of_user["likes rhs"] == ["7", "8"]
    assert of_user["knows rhs"] == ["c", "b"]
    assert of_user["knows lhs"][0] == "b"
    of_item = _neighbors(explorer, "item", "-9")
    assert list(of_item) == ["None rhs", "likes lhs"]
    assert of_item["None rhs"] == ["8", "7"]
    assert of_item["likes lhs"][0] == "c"


def test_an_entity_is_never_its_own_neighbour(bundle: Bundle) -> None:
    found = Explorer(bundle).show("user", "c", 100)["neighbors"]

    for each in found:
        assert each["entity_type"] != "user" or "c" not in each["ids"]
        assert each["scores"] == sorted(each["scores"], reverse=True)


def test_statistics_of_a_vector(bundle: Bundle) -> None:
    vector = Explorer(bundle).show("item", "7", 1)["vector"]

    assert vector["values"] == [3, 0]
    assert (vector["norm"], vector["mean"], vector["deviation"]) == (3, 1.5, 1.5)
    assert (vector["smallest"], vector["largest"]) == (0, 3)
    # The norms are 3, sqrt 5 and 5: one of three is smaller.
    assert vector["norm_quantile"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("entity_type", "entity_id"),
    [("item", "1"), ("item", "x"), ("item", str(2**63)), ("user", "z"), ("song", "a")],
)
def test_what_is_not_there_is_said(
    bundle: Bundle, entity_type: str, entity_id: str
) -> None:
    with pytest.raises(UnknownEntityError, match=r"z|x|1|song|9223372036854775808"):
        Explorer(bundle).show(entity_type, entity_id, 1)


def test_ids_complete_from_their_beginning(bundle: Bundle) -> None:
    explorer = Explorer(bundle)

    assert explorer.complete("user", "a") == {"ids": ["a", "a1"], "is_complete": True}
    assert explorer.complete("item", "-")["ids"] == ["-9"]
    assert explorer.complete("item", "")["ids"] == ["7", "8", "-9"]
    assert explorer.complete("user", "zz")["ids"] == []


def test_a_large_table_completes_some_of_its_ids(bundle: Bundle) -> None:
    prefixes = IdPrefixes(bundle.directories["user"], max_ids=2)

    assert not prefixes.is_complete
    assert len(prefixes.complete("", 10)) == 2


def test_description_names_types_and_relations(bundle: Bundle) -> None:
    found = Explorer(bundle).describe()

    assert [each["name"] for each in found["entity_types"]] == ["user", "item"]
    assert set(found["entity_types"][1]["examples"]) == {"7", "8", "-9"}
    assert found["relations"][1]["operator"] == "translation"
    assert found["dim"] == 2
