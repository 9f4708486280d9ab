# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks the size, the structure and the determinism of the generated graph."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from twhin.config.resolved_config import load_config
from twhin.config.settings import DemoGraph
from twhin.config.validate_data import DEMO_RELATIONS
from twhin.errors import DataError
from twhin.graph import demo_graph
from twhin.graph.prepared_graph import PreparedGraph

DEMO = DemoGraph(
    num_users=1000, num_tweets=1500, num_advertisements=60, num_edges=20_000, seed=0
)
SMALL = DemoGraph(
    num_users=100, num_tweets=100, num_advertisements=10, num_edges=1000, seed=0
)


def numbers(table: pa.Table, side: str, relation: str) -> NDArray[np.int64]:
    """Returns the n of the ids "type_n" of a relation's side."""
    chosen = table.filter(pa.compute.equal(table["rel"], relation))
    return np.array([int(name.split("_")[1]) for name in chosen[side].to_pylist()])


def test_edges_are_as_many_as_configured_and_distinct() -> None:
    for demo in (DEMO, SMALL):
        table = demo_graph.generate_edges(demo)

        assert table.num_rows == demo.num_edges
        assert len({tuple(row.values()) for row in table.to_pylist()}) == demo.num_edges


def test_ids_name_the_entity_types_of_the_relation() -> None:
    table = demo_graph.generate_edges(DEMO)

    for row in table.to_pylist():
        lhs, rhs = (row[side].rsplit("_", 1)[0] for side in ("lhs", "rhs"))
        assert (lhs, rhs) == DEMO_RELATIONS[row["rel"]]


def test_relations_have_their_shares() -> None:
    counts = demo_graph.generate_edges(DEMO)["rel"].value_counts().to_pylist()

    assert {count["values"]: count["counts"] for count in counts} == {
        "follows": 8000,
        "favorites": 6000,
        "retweets": 2000,
        "clicks": 4000,
    }


def test_no_user_follows_itself() -> None:
    table = demo_graph.generate_edges(DEMO)

    assert not (
        numbers(table, "lhs", "follows") == numbers(table, "rhs", "follows")
    ).any()


@pytest.mark.parametrize("relation", ["follows", "favorites", "retweets"])
def test_most_edges_stay_in_the_home_community(relation: str) -> None:
    table = demo_graph.generate_edges(DEMO)
    count = demo_graph.num_communities(DEMO)

    lhs, rhs = numbers(table, "lhs", relation), numbers(table, "rhs", relation)

    assert count == 10
    assert 0.55 < (lhs % count == rhs % count).mean() < 0.75


def test_degrees_are_skewed_and_users_have_several_edges() -> None:
    table = demo_graph.generate_edges(DEMO)

    follows = np.bincount(numbers(table, "rhs", "follows"), minlength=1000)
    acts = sum(
        np.bincount(numbers(table, "lhs", relation), minlength=1000)
        for relation in DEMO_RELATIONS
    )

    assert (
        np.sort(follows)[-100:].sum() > 2.5 * 800
    )  # The top tenth, if all were equal.
    assert np.median(acts) > 10


def test_neighbours_tell_far_more_than_popularity() -> None:
    # Whoever likes what I like will like what I will like: a walk of three steps
    # finds held-out edges, and popularity hardly does.
    demo = dataclasses.replace(DEMO, num_users=2000, num_tweets=2000, num_edges=80_000)
    demo = dataclasses.replace(demo, num_advertisements=100)
    table = demo_graph.generate_edges(demo)
    lhs, rhs = numbers(table, "lhs", "favorites"), numbers(table, "rhs", "favorites")
    known = np.zeros((2000, 2000), dtype=np.float32)
    known[lhs[1000:], rhs[1000:]] = 1
    popularity = known.sum(axis=0)
    step = known / np.sqrt(np.maximum(popularity, 1))
    walk = step[lhs[:1000]] @ (step.T @ step)

    def recall_at_20(scores: NDArray[np.float32]) -> float:
        ranked = np.argsort(-np.where(known[lhs[:1000]] > 0, -1, scores), axis=1)
        return float((ranked[:, :20] == rhs[:1000, None]).any(axis=1).mean())

    baseline = recall_at_20(np.broadcast_to(popularity, walk.shape))
    assert recall_at_20(walk) > 3 * baseline


def test_same_seed_gives_the_same_edges_and_another_seed_others() -> None:
    def digest(demo: DemoGraph) -> str:
        rows = demo_graph.generate_edges(demo).to_pylist()
        return hashlib.sha256(repr(rows).encode()).hexdigest()

    # The same on every machine: a change of these numbers is a change of the graph.
    assert digest(SMALL)[:16] == "7763b61010191a3e"
    assert digest(dataclasses.replace(SMALL, seed=1)) != digest(SMALL)


def test_more_edges_than_there_can_be_are_an_error() -> None:
    demo = dataclasses.replace(SMALL, num_edges=100_000)

    with pytest.raises(DataError, match=r"data\.demo\.num_edges: 100000 are too many"):
        demo_graph.generate_edges(demo)


def test_demo_is_prepared_once_and_found_again(tmp_path: Path) -> None:
    overrides = [
        f"data.demo.{field}={getattr(SMALL, field)}" for field in SMALL.__slots__
    ]
    settings = load_config(None, overrides).settings
    steps: list[str] = []

    def prepare() -> None:
        steps.clear()
        demo_graph.prepare_demo(
            settings,
            tmp_path,
            memory_limit_bytes=1 << 28,
            num_threads=1,
            progress=lambda step, _: steps.append(step),
        )

    prepare()
    first = (tmp_path / "prepared" / "manifest.json").stat().st_ino
    assert "vocabulary of user" in steps
    prepare()

    assert (tmp_path / "prepared" / "manifest.json").stat().st_ino == first
    assert "vocabulary of user" not in steps
    manifest = PreparedGraph.open(str(tmp_path / "prepared")).manifest
    assert manifest is not None
    splits = {name: s.num_input_edges for name, s in manifest.splits.items()}
    assert sum(splits.values()) == 1000
    assert 20 < splits["valid"] < 90
    assert 20 < splits["test"] < 90
