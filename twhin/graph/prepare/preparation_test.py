# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of whole preparations: relations, splits, reuse, determinism."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twhin.errors import DataError
from twhin.graph.prepare import preparation
from twhin.testing.prepare_case import USER_TWEET, PrepareCase

EDGES = [
    ("ann", "likes", "t1"),
    ("ann", "likes", "t2"),
    ("ann", "follows", "bob"),
    ("bob", "likes", "t2"),
    ("cal", "follows", "ann"),
]
TRAIN = "data: {raw: {train: {paths: train.parquet}}}"


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    return PrepareCase(tmp_path)


def test_edges_survive_the_round_trip_through_indices(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES)

    manifest = case.prepare(USER_TWEET, TRAIN)

    assert case.edges("train") == sorted(EDGES)
    assert manifest.splits["train"].num_edges == 5
    assert manifest.splits["train"].edges_by_relation == {"follows": 2, "likes": 3}
    assert case.graph().manifest == manifest


def test_index_falls_with_degree_then_rises_with_id(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES)

    case.prepare(USER_TWEET, TRAIN)

    assert case.vocabulary("user") == ["ann", "bob", "cal"]
    assert case.vocabulary("tweet") == ["t2", "t1"]
    assert case.graph().load_degrees("user").tolist() == [4, 2, 1]


def test_equal_degrees_order_strings_by_utf8_bytes(case: PrepareCase) -> None:
    ids = ["b", "B", "a", "\u00e9", "\U0001f600", "\uffff", "10", "9"]
    case.write_edges("train.parquet", [(i, "likes", "t") for i in ids])

    case.prepare(USER_TWEET, TRAIN)

    assert case.vocabulary("user") == sorted(ids, key=lambda i: i.encode())


def test_equal_degrees_order_integers_as_numbers(case: PrepareCase) -> None:
    ids = [10, 9, -1, 2**62]
    case.write_edges("train.parquet", [(i, "likes", 5) for i in ids])

    manifest = case.prepare(USER_TWEET, TRAIN)

    assert case.vocabulary("user") == [-1, 9, 10, 2**62]
    assert manifest.vocabulary("user").id_type == "int64"


def test_same_id_in_two_entity_types_is_two_entities(case: PrepareCase) -> None:
    case.write_edges("train.parquet", [("x", "likes", "x"), ("x", "follows", "y")])

    case.prepare(USER_TWEET, TRAIN)

    assert case.vocabulary("user") == ["x", "y"]
    assert case.vocabulary("tweet") == ["x"]


def test_schema_of_files_is_that_of_the_contract(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES)

    case.prepare(USER_TWEET, TRAIN)

    (file,) = case.graph().edge_files("train")
    expected = [("lhs", pa.int64()), ("rel", pa.int64()), ("rhs", pa.int64())]
    assert [(f.name, f.type) for f in pq.read_schema(file)] == expected
    table = case.graph().load_vocabulary("user")
    assert [(f.name, f.type) for f in table.schema] == [
        ("id", pa.string()),
        ("index", pa.int64()),
        ("degree", pa.int64()),
    ]


def test_wildcard_relations_follow_named_ones_sorted(case: PrepareCase) -> None:
    case.write_edges("train.parquet", [("a", r, "b") for r in ("zoo", "mid", "ape")])

    manifest = case.prepare(
        """
        graph:
          entity_types: [{name: entity}]
          relations:
            - {name: "*", lhs: entity, rhs: entity}
            - {name: mid, lhs: entity, rhs: entity}
        """,
        TRAIN,
    )

    assert [r.name for r in manifest.schema.relations] == ["mid", "ape", "zoo"]
    assert case.edges("train") == [
        ("a", "ape", "b"),
        ("a", "mid", "b"),
        ("a", "zoo", "b"),
    ]


def test_relation_names_may_be_integers(case: PrepareCase) -> None:
    case.write_parquet("train.parquet", lhs=[1, 2], rel=[7, 11], rhs=[3, 3])

    manifest = case.prepare(
        """
        graph:
          entity_types: [{name: entity}]
          relations: [{name: "*", lhs: entity, rhs: entity}]
        """,
        TRAIN,
    )

    assert [r.name for r in manifest.schema.relations] == ["11", "7"]


def test_several_sources_with_own_columns_and_fixed_relations(
    case: PrepareCase,
) -> None:
    case.write_parquet("a/1.parquet", who=["ann"], whom=["bob"])
    case.write_parquet("a/2.parquet", who=["bob"], whom=["cal"])
    case.write_parquet("likes.parquet", tweet=["t1"], user=["ann"])

    case.prepare(
        USER_TWEET,
        """
        data:
          raw:
            train:
              - {paths: "a/*.parquet", lhs: who, rhs: whom, relation: follows}
              - {paths: likes.parquet, lhs: user, rhs: tweet, relation: likes}
        """,
    )

    assert case.edges("train") == [
        ("ann", "follows", "bob"),
        ("ann", "likes", "t1"),
        ("bob", "follows", "cal"),
    ]


def test_filter_leaves_rows_out_and_counts_them(case: PrepareCase) -> None:
    case.write_parquet(
        "train.parquet", lhs=["a", "b", "c"], rhs=["t"] * 3, lang=["en", "fr", None]
    )

    manifest = case.prepare(
        USER_TWEET.replace("- {name: follows, lhs: user, rhs: user}", ""),
        """
        data:
          raw:
            train: {paths: train.parquet, relation: likes, filter: "lang = 'en'"}
        """,
    )

    assert case.edges("train") == [("a", "likes", "t")]
    assert manifest.splits["train"].num_filtered == 2
    assert manifest.splits["train"].num_input_edges == 1


def test_held_out_edges_of_unseen_entities_are_dropped_and_counted(
    case: PrepareCase,
) -> None:
    case.write_edges("train.parquet", EDGES)
    case.write_edges("valid.parquet", [("ann", "likes", "t1"), ("new", "likes", "t1")])

    manifest = case.prepare(
        USER_TWEET,
        """
        data:
          raw:
            train: {paths: train.parquet}
            valid: {paths: valid.parquet}
        """,
    )

    assert case.edges("valid") == [("ann", "likes", "t1")]
    assert manifest.splits["valid"].num_input_edges == 2
    assert manifest.splits["valid"].num_dropped == 1
    assert manifest.splits["test"].files == ()


def test_undirected_edges_are_stored_both_ways_but_loops_once(
    case: PrepareCase,
) -> None:
    case.write_edges(
        "train.parquet",
        [("b", "friend", "a"), ("c", "friend", "c"), ("a", "likes", "c")],
    )
    case.write_edges("test.parquet", [("b", "friend", "a")])

    manifest = case.prepare(
        """
        graph:
          entity_types: [{name: user}]
          relations:
            - {name: friend, lhs: user, rhs: user, undirected: true}
            - {name: likes, lhs: user, rhs: user}
        data: {raw: {train: {paths: train.parquet}, test: {paths: test.parquet}}}
        """
    )

    assert case.edges("train") == [
        ("a", "friend", "b"),
        ("a", "likes", "c"),
        ("b", "friend", "a"),
        ("c", "friend", "c"),
    ]
    assert case.edges("test") == [("b", "friend", "a")]
    assert manifest.splits["train"].num_edges == 4
    assert manifest.splits["train"].num_dropped == 0
    assert case.graph().load_degrees("user").tolist() == [3, 2, 1]


def test_same_input_gives_the_same_bytes(case: PrepareCase) -> None:
    case.write_edges(
        "train.parquet",
        [(f"u{i * i % 61}", "likes", f"t{i * 7 % 97}") for i in range(9000)],
    )
    holdout = (
        "data: {raw: {train: {paths: train.parquet}, holdout: {test_fraction: 0.1}}}"
    )

    case.prepare(USER_TWEET, holdout, output="one")
    case.prepare(USER_TWEET, holdout, output="two")

    names = {p.relative_to(case.folder / "one") for p in case.folder.glob("one/**/*.*")}
    assert len(names) == 5
    for name in names:
        one, two = (case.folder / folder / name for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_number_of_threads_changes_no_row(case: PrepareCase) -> None:
    case.write_edges(
        "train.parquet",
        [(f"u{i * i % 61}", "likes", f"t{i * 7 % 97}") for i in range(9000)],
    )
    case.prepare(USER_TWEET, TRAIN, output="one")

    preparation.prepare(
        case.settings(USER_TWEET, TRAIN),
        str(case.folder / "two"),
        memory_limit_bytes=1 << 29,
        num_threads=2,
    )

    assert case.vocabulary("user", "one") == case.vocabulary("user", "two")
    assert case.rows("train", "one") == case.rows("train", "two")


def test_edges_on_disk_are_shuffled(case: PrepareCase) -> None:
    case.write_edges("train.parquet", [(i, "likes", i) for i in range(5000)])

    case.prepare(USER_TWEET, TRAIN)

    lhs = [row["lhs"] for row in case.rows("train")]
    first_half = sum(lhs[:2500]) / 2500
    assert sorted(lhs) == list(range(5000))
    assert abs(first_half - 2499.5) < 5 * 1443 / 2500**0.5


def test_prepared_again_only_if_inputs_or_settings_changed(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES)
    case.prepare(USER_TWEET, TRAIN)
    written = (case.folder / "prepared/manifest.json").stat().st_ino

    case.prepare(USER_TWEET, TRAIN, "training: {num_epochs: 3}")

    assert (case.folder / "prepared/manifest.json").stat().st_ino == written
    settings = case.settings(USER_TWEET, TRAIN)
    assert preparation.is_current(settings, str(case.folder / "prepared"))

    case.write_edges("train.parquet", EDGES[1:])

    assert not preparation.is_current(settings, str(case.folder / "prepared"))
    assert case.prepare(USER_TWEET, TRAIN).splits["train"].num_edges == 4


def test_output_that_is_no_preparation_is_never_replaced(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES)
    (case.folder / "prepared").mkdir()
    (case.folder / "prepared/thesis.tex").write_text("x")

    with pytest.raises(
        DataError, match=r"prepared: holds files but no 'manifest.json'"
    ):
        case.prepare(USER_TWEET, TRAIN)


def test_nothing_is_left_beside_the_output(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES)

    case.prepare(USER_TWEET, TRAIN)
    case.write_edges("train.parquet", EDGES[:3])
    case.prepare(USER_TWEET, TRAIN)

    names = {path.name for path in case.folder.iterdir()}
    assert names == {"config.yaml", "train.parquet", "prepared"}
    assert {p.name for p in (case.folder / "prepared").iterdir()} == {
        "edges",
        "manifest.json",
        "vocabulary",
    }
