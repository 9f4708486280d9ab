# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of which ids have a row: rare, unseen, old and new ones."""

from pathlib import Path

import pytest

from twhin.errors import DataError
from twhin.graph.prepare import vocabulary
from twhin.testing.prepare_case import Edge, PrepareCase

# Degrees: a 4, b 3, c 2, d 1, e 1; e's only edge is with a.
EDGES: list[Edge] = [
    ("a", "r", "b"),
    ("a", "r", "b"),
    ("a", "r", "c"),
    ("b", "r", "c"),
    ("a", "r", "e"),
]
OTHERS: list[Edge] = [
    ("a", "r", "b"),
    ("a", "r", "e"),
    ("a", "r", "x"),
    ("y", "r", "x"),
]


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    case = PrepareCase(tmp_path)
    case.write_edges("train.parquet", EDGES)
    case.write_edges("test.parquet", OTHERS)
    return case


def config(entity_type: str = "", *raw: str) -> str:
    """Returns a configuration with options of the entity type and of `raw`."""
    lines = "".join(f"\n    {option}" for option in raw)
    return (
        "graph:\n"
        f"  entity_types: [{{name: user{entity_type}}}]\n"
        "  relations: [{name: r, lhs: user, rhs: user}]\n"
        "data:\n"
        "  raw:\n"
        "    train: {paths: train.parquet}\n"
        f"    test: {{paths: test.parquet}}{lines}\n"
    )


def test_ids_below_the_minimum_degree_leave_with_their_edges(case: PrepareCase) -> None:
    manifest = case.prepare(config(", min_degree: 2"))

    assert case.vocabulary("user") == ["a", "b", "c"]
    assert case.edges("train") == sorted(e for e in EDGES if "e" not in e)
    assert manifest.splits["train"].num_dropped == 1
    assert manifest.vocabulary("user").num_rare == 1
    assert manifest.schema.num_entities("user") == 3


def test_ids_beyond_the_maximum_leave_lowest_degree_first(case: PrepareCase) -> None:
    manifest = case.prepare(config(", max_entities: 2"))

    assert case.vocabulary("user") == ["a", "b"]
    assert case.edges("train") == [("a", "r", "b")] * 2
    assert manifest.vocabulary("user").num_rare == 2


def test_rare_ids_may_share_the_last_row(case: PrepareCase) -> None:
    manifest = case.prepare(config(", max_entities: 2, rare_entities: shared_row"))

    assert case.vocabulary("user") == ["a", "b"]
    assert manifest.schema.num_entities("user") == 3
    assert manifest.vocabulary("user").shared_row == 2
    assert manifest.splits["train"].num_edges == 5
    assert case.graph().load_degrees("user").tolist() == [4, 3, 3]
    rows = sorted((row["lhs"], row["rhs"]) for row in case.rows("train"))
    assert rows == [(0, 1), (0, 1), (0, 2), (0, 2), (1, 2)]


def test_a_rare_id_of_a_held_out_edge_uses_the_shared_row(case: PrepareCase) -> None:
    manifest = case.prepare(config(", min_degree: 2, rare_entities: shared_row"))

    assert case.edges("test") == [("a", "r", "b"), ("a", "r", None)]
    assert manifest.splits["test"].num_dropped == 2


def test_without_rare_ids_no_row_is_shared(case: PrepareCase) -> None:
    manifest = case.prepare(config(", rare_entities: shared_row"))

    assert manifest.vocabulary("user").shared_row is None
    assert manifest.schema.num_entities("user") == 4


def test_unseen_ids_are_dropped_with_their_edges(case: PrepareCase) -> None:
    manifest = case.prepare(config())

    assert case.edges("test") == [("a", "r", "b"), ("a", "r", "e")]
    assert manifest.splits["test"].num_dropped == 2
    assert manifest.vocabulary("user").num_unseen == 0


def test_unseen_ids_may_be_kept_behind_the_others(case: PrepareCase) -> None:
    manifest = case.prepare(config("", "unseen_entities: keep"))

    assert case.vocabulary("user") == ["a", "b", "c", "e", "x", "y"]
    assert case.edges("test") == sorted(OTHERS)
    assert manifest.vocabulary("user").num_unseen == 2
    assert case.graph().load_degrees("user").tolist() == [4, 3, 2, 1, 0, 0]


def test_rare_ids_of_kept_held_out_edges_get_rows_that_never_train(
    case: PrepareCase,
) -> None:
    manifest = case.prepare(config(", min_degree: 2", "unseen_entities: keep"))

    assert case.vocabulary("user") == ["a", "b", "c", "e", "x", "y"]
    assert manifest.splits["train"].num_edges == 4
    assert manifest.splits["test"].num_edges == 4
    assert case.graph().load_degrees("user").tolist() == [4, 3, 2, 0, 0, 0]


def test_shared_row_stays_last_behind_unseen_ids(case: PrepareCase) -> None:
    manifest = case.prepare(
        config(", max_entities: 2, rare_entities: shared_row", "unseen_entities: keep")
    )

    assert case.vocabulary("user") == ["a", "b", "x", "y"]
    assert manifest.vocabulary("user").shared_row == 4
    assert manifest.schema.num_entities("user") == 5


def test_old_ids_keep_their_index_and_new_ones_are_appended(case: PrepareCase) -> None:
    case.prepare(config(), output="base")
    case.write_edges(
        "train.parquet",
        [
            ("e", "r", "z"),
            ("e", "r", "z"),
            ("e", "r", "q"),
            ("e", "r", "m"),
            ("c", "r", "a"),
        ],
    )

    manifest = case.prepare(config("", "base_vocabulary: base"))

    assert case.vocabulary("user", "base") == ["a", "b", "c", "e"]
    assert case.vocabulary("user") == ["a", "b", "c", "e", "z", "m", "q"]
    assert manifest.vocabulary("user").num_new == 3
    assert manifest.vocabulary("user").num_gone == 1
    assert case.graph().load_degrees("user").tolist() == [1, 0, 1, 4, 2, 1, 1]
    assert len(case.edges("train")) == 5


def test_cuts_concern_new_ids_only(case: PrepareCase) -> None:
    case.prepare(config(), output="base")
    case.write_edges("train.parquet", [("z", "r", "q"), ("z", "r", "e")])

    manifest = case.prepare(config(", max_entities: 5", "base_vocabulary: base"))

    assert case.vocabulary("user") == ["a", "b", "c", "e", "z"]
    assert case.edges("train") == [("z", "r", "e")]
    assert manifest.vocabulary("user").num_rare == 1
    assert manifest.vocabulary("user").num_gone == 3


def test_a_changed_base_makes_an_output_stale(case: PrepareCase) -> None:
    case.prepare(config(), output="base")
    case.prepare(config("", "base_vocabulary: base"))
    case.prepare(config(", min_degree: 2"), output="base")

    manifest = case.prepare(config("", "base_vocabulary: base"))

    assert manifest.vocabulary("user").num_new == 1


def test_a_base_with_ids_of_another_type_is_an_error(case: PrepareCase) -> None:
    case.prepare(config(), output="base")
    case.write_edges("train.parquet", [(1, "r", 2)])

    with pytest.raises(
        DataError, match=r"int64 ids .* 'user'; allowed: string, as in the base"
    ):
        case.prepare(config("", "base_vocabulary: base"))


def test_a_base_must_be_a_prepared_graph(case: PrepareCase) -> None:
    with pytest.raises(
        DataError, match=r"^data.raw.base_vocabulary: .*nowhere: 'manif"
    ):
        case.prepare(config("", "base_vocabulary: nowhere"))


def test_rows_may_be_reserved_but_not_too_few(case: PrepareCase) -> None:
    assert case.prepare(config(", num_entities: 9")).schema.num_entities("user") == 9
    assert len(case.graph().load_degrees("user")) == 9

    with pytest.raises(DataError, match=r"num_entities = 3 of 'user' .*: at least 4"):
        case.prepare(config(", num_entities: 3"))


def test_an_entity_type_without_edges_is_an_error(case: PrepareCase) -> None:
    text = config().replace("relations: [", "relations: [{name: s, lhs: ad, rhs: ad}, ")

    with pytest.raises(DataError, match="no edge touches entity type 'ad'"):
        case.prepare(text.replace("{name: user}", "{name: user}, {name: ad}"))


def test_a_minimum_degree_that_leaves_nothing_is_an_error(case: PrepareCase) -> None:
    with pytest.raises(DataError, match=r"no entity of type 'user' is left .*= 9"):
        case.prepare(config(", min_degree: 9"))


def test_quantiles_are_degrees_of_sorted_ids() -> None:
    histogram = {0: 50, 1: 5, 2: 4, 9: 1}

    quantiles = vocabulary.quantiles(histogram)

    assert quantiles == {
        "0": 1,
        "0.1": 1,
        "0.25": 1,
        "0.5": 1,
        "0.75": 2,
        "0.9": 2,
        "0.99": 2,
        "1": 9,
    }
