# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the example on a tiny graph, from its edges to its measures."""

from pathlib import Path

import numpy as np
import pytest

from examples.ranker import train
from examples.ranker.batches import BatchMaker
from examples.ranker.cached_vectors import CachedVectors
from examples.ranker.labelled_pairs import LabelledPairs, PairSampler
from examples.ranker.ranking_graph import RankingGraph, load_ranking_graph
from examples.ranker.training import train_ranker
from twhin.client.local_source import LocalSource
from twhin.testing.small_bundle import TableForTest, write_bundle_for_test
from twhin.testing.small_run import write_small_run

_NUM_COMMUNITIES = 3


@pytest.fixture(scope="module", name="run")
def _run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a run whose bundle has the community of each entity as its vector."""
    folder = tmp_path_factory.mktemp("run")
    write_small_run(folder, overrides=["data.demo.num_edges=20000"])
    graph = load_ranking_graph(str(folder / "prepared"), "favorites")
    write_bundle_for_test(
        folder / "bundle",
        {
            graph.user_type: _make_table(graph.user_ids.tolist()),
            graph.item_type: _make_table(graph.item_ids.tolist()),
        },
    )
    return folder


@pytest.fixture(scope="module", name="graph")
def _graph(run: Path) -> RankingGraph:
    return load_ranking_graph(str(run / "prepared"), "favorites")


def _make_table(ids: list[str]) -> TableForTest:
    communities = [int(name.rpartition("_")[2]) % _NUM_COMMUNITIES for name in ids]
    return TableForTest(ids=ids, vectors=3 * np.eye(_NUM_COMMUNITIES)[communities])


def _make_vectors(
    run: Path, graph: RankingGraph
) -> tuple[CachedVectors, CachedVectors]:
    source = LocalSource(run / "bundle")
    return (
        CachedVectors(source, graph.user_type, graph.user_ids),
        CachedVectors(source, graph.item_type, graph.item_ids),
    )


def test_drawn_pairs_are_no_edges(graph: RankingGraph) -> None:
    pairs = PairSampler(graph, 4).draw(graph.learning, np.random.default_rng(0))

    known = {
        pair
        for part in (graph.past, graph.learning, graph.test)
        for pair in zip(part.user.tolist(), part.item.tolist(), strict=True)
    }
    for user, item, label in zip(
        pairs.user.tolist(), pairs.item.tolist(), pairs.label.tolist(), strict=True
    ):
        assert ((user, item) in known) == (label == 1)
    assert len(pairs) == 5 * len(graph.learning.user)


def test_an_edge_of_the_past_does_not_give_itself_away(graph: RankingGraph) -> None:
    degrees = graph.user_degrees
    user = int(np.flatnonzero((degrees > 1) & (degrees < 50))[0])
    past = graph.past.item[graph.past.user == user].tolist()
    item = past[0]
    pairs = LabelledPairs(
        user=np.array([user]), item=np.array([item]), label=np.ones(1, np.float32)
    )

    batch = BatchMaker(graph, None).make(pairs)

    history = batch.sparse["history"].values().tolist()
    assert history == [other for other in past if other != item]
    np.testing.assert_allclose(
        batch.dense.numpy()[0],
        np.log1p([len(past) - 1, graph.item_degrees[item] - 1]),
        rtol=1e-6,
    )


def test_each_vector_is_asked_for_once(run: Path, graph: RankingGraph) -> None:
    users, _ = _make_vectors(run, graph)
    rows = np.array([5, 3, 5])

    first = users.lookup(rows)
    again = users.lookup(np.array([3, 4]))

    assert users.num_asked == 3
    assert (first[0] == first[2]).all()
    assert (again[0] == first[1]).all()
    community = int(graph.user_ids[5].rpartition("_")[2]) % _NUM_COMMUNITIES
    assert first[0].argmax() == community


def test_a_small_cache_forgets_and_asks_again(run: Path, graph: RankingGraph) -> None:
    source = LocalSource(run / "bundle")
    users = CachedVectors(source, graph.user_type, graph.user_ids, max_cached=3)

    first = users.lookup(np.array([0, 1]))
    users.lookup(np.array([2, 3]))

    assert (users.lookup(np.array([0, 1])) == first).all()
    assert users.num_asked == 6


def test_vectors_that_know_something_help(run: Path, graph: RankingGraph) -> None:
    without = train_ranker(graph, None, 0)
    with_vectors = train_ranker(graph, _make_vectors(run, graph), 0)

    assert with_vectors.auc > without.auc + 0.05
    assert with_vectors.rce > without.rce


def test_command_compares_over_a_server_of_its_own(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = train.main([f"--run={run}", "--relation=favorites", "--seeds=1"])

    output = capsys.readouterr().out
    assert code == 0
    assert "vectors from 127.0.0.1:" in output
    assert "gain over 'without, past': AUC" in output


def test_an_unknown_relation_is_an_error_of_the_user(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([f"--run={run}", "--relation=favourites"]) == 2
    assert "did you mean 'favorites'?" in capsys.readouterr().err
