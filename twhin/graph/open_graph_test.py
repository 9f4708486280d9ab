# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that each kind of source opens, and what a wrong schema is told."""

from pathlib import Path

import pytest

from twhin.config.settings import TrainConfig
from twhin.errors import DataError
from twhin.graph.configured_schema import relation_settings
from twhin.graph.open_graph import open_graph, open_prepared
from twhin.testing.prepare_case import USER_TWEET, PrepareCase

EDGES = [("ann", "likes", "t1"), ("ann", "follows", "bob"), ("bob", "likes", "t1")]
RAW = "data: {raw: {train: {paths: train.parquet}}}"
PREPARED = "data: {prepared: prepared}"


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    case = PrepareCase(tmp_path)
    case.write_edges("train.parquet", EDGES)
    return case


def test_raw_edges_are_prepared_into_the_output_folder(case: PrepareCase) -> None:
    settings = case.settings(USER_TWEET, RAW)

    graph = open_graph(settings, case.folder / "run")

    assert graph.folder == case.folder / "run" / "prepared"
    assert graph.schema.num_entities("user") == 2
    assert open_prepared(settings, case.folder / "run") == graph


def test_ranks_that_do_not_prepare_need_a_preparation(case: PrepareCase) -> None:
    with pytest.raises(DataError, match=r"prepared: 'manifest.json' cannot be read"):
        open_prepared(case.settings(USER_TWEET, RAW), case.folder / "run")


def test_demo_is_generated_and_prepared(case: PrepareCase) -> None:
    settings = demo_settings(case)

    graph = open_graph(settings, case.folder / "run")

    assert [r.name for r in graph.schema.relations] == [
        "follows",
        "favorites",
        "retweets",
        "clicks",
    ]
    assert graph.edge_files("test")


def test_prepared_folder_lies_below_the_root(case: PrepareCase) -> None:
    case.prepare(USER_TWEET, RAW)

    graph = open_graph(case.settings(USER_TWEET, PREPARED), case.folder / "run")

    assert graph.folder == case.folder / "prepared"
    assert not (case.folder / "run").exists()


def test_prepared_folder_is_not_read_from_a_url(case: PrepareCase) -> None:
    settings = case.settings(USER_TWEET, "data: {prepared: 's3://bucket/graph'}")

    with pytest.raises(DataError, match="'s3://bucket/graph' is a URL; allowed"):
        open_graph(settings, case.folder / "run")


def test_encoded_edges_open_with_the_configured_schema(case: PrepareCase) -> None:
    case.write_parquet("encoded.parquet", lhs=[4], rel=[1], rhs=[2])
    settings = case.settings(
        """
        graph:
          entity_types: [{name: user, num_entities: 5}, {name: tweet, num_entities: 3}]
          relations:
            - {name: follows, lhs: user, rhs: user}
            - {name: likes, lhs: user, rhs: tweet}
        data: {encoded: {train: encoded.parquet}}
        """
    )

    graph = open_graph(settings, case.folder / "run")

    assert graph.manifest is None
    assert graph.schema.num_entities("user") == 5
    assert graph.edge_files("train") == (str(case.folder / "encoded.parquet"),)


WILDCARD = """
    graph:
      entity_types: [{name: user}, {name: tweet}]
      relations:
        - {name: "*", lhs: user, rhs: tweet, operator: diagonal, sampling_rate: 0.5}
        - {name: follows, lhs: user, rhs: user}
    """


def test_relations_take_their_settings_by_name_or_from_the_wildcard(
    case: PrepareCase,
) -> None:
    case.write_edges("train.parquet", [*EDGES, ("ann", "hates", "t1")])
    case.prepare(WILDCARD, RAW)
    settings = case.settings(WILDCARD, PREPARED)

    schema = open_graph(settings, case.folder).schema
    found = relation_settings(settings.graph, schema)

    assert [(r.name, str(r.operator), r.sampling_rate) for r in found] == [
        ("follows", "translation", 1.0),
        ("hates", "diagonal", 0.5),
        ("likes", "diagonal", 0.5),
    ]


FAULTS = {
    "unknown entity type": (
        ("tweet", "tweed"),
        "graph.entity_types[1].name: 'tweed' is not in 'PREPARED'; allowed: 'user',"
        " 'tweet'; did you mean 'tweet'?",
    ),
    "missing entity type": (
        ("{name: user}, {name: tweet}", "{name: user}"),
        "graph.entity_types: 'tweet' of 'PREPARED' is missing; allowed: all of 'user',"
        " 'tweet'",
    ),
    "wrong number of rows": (
        ("{name: user}", "{name: user, num_entities: 7}"),
        "graph.entity_types[0].num_entities: 7, but 'user' has 2 rows in 'PREPARED';"
        " allowed: 2, or unset",
    ),
    "unknown relation": (
        ("name: likes", "name: loves"),
        "graph.relations[1].name: 'loves' is not in 'PREPARED'; allowed: 'follows',"
        " 'likes'; did you mean 'likes'?",
    ),
    "missing relation": (
        ("- {name: follows, lhs: user, rhs: user}", ""),
        "graph.relations: 'follows' of the prepared graph is missing; configured are"
        " 'likes'; allowed: a relation for each, or '*'",
    ),
    "other sides": (
        ("likes, lhs: user, rhs: tweet", "likes, lhs: tweet, rhs: user"),
        "graph.relations: 'likes' joins 'tweet' and 'user', but 'likes' of the prepared"
        " graph 'user' and 'tweet'; allowed: the same entity types",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_prepared_graph_of_another_schema_is_an_error(
    case: PrepareCase, fault: str
) -> None:
    (old, new), message = FAULTS[fault]
    case.prepare(USER_TWEET, RAW)
    text = USER_TWEET.replace(old, new)
    if fault == "missing entity type":
        text = text.replace("- {name: likes, lhs: user, rhs: tweet}", "")
    settings = case.settings(text, PREPARED)

    with pytest.raises(DataError) as caught:
        open_graph(settings, case.folder)

    expected = message.replace("PREPARED", str(case.folder / "prepared"))
    assert str(caught.value) == expected


def demo_settings(case: PrepareCase) -> TrainConfig:
    return case.settings(
        """
        graph:
          entity_types: [{name: user}, {name: tweet}, {name: advertisement}]
          relations:
            - {name: follows, lhs: user, rhs: user}
            - {name: favorites, lhs: user, rhs: tweet}
            - {name: retweets, lhs: user, rhs: tweet}
            - {name: clicks, lhs: user, rhs: advertisement}
        data:
          demo:
            {num_users: 100, num_tweets: 100, num_advertisements: 10, num_edges: 1000}
        """
    )
