# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of what the report computes from a run."""

import itertools

import pytest

from twhin.report.degree_buckets import bucket_by_degree, is_small_enough
from twhin.report.entity_sample import EntityNames, read_samples
from twhin.report.neighbors import find_neighbors
from twhin.report.run_files import RunFiles, open_run
from twhin.testing.small_run import write_small_run


@pytest.fixture(scope="module", name="run")
def _run(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    folder = tmp_path_factory.mktemp("run")
    return open_run(
        folder, write_small_run(folder, overrides=["data.demo.num_edges=8000"])
    )


def test_buckets_divide_the_edges_of_each_relation(run: RunFiles) -> None:
    samples = read_samples(run.reader, run.graph)
    assert run.graph.manifest is not None
    counts = run.graph.manifest.splits["test"].edges_by_relation

    found = bucket_by_degree(run, samples, "test")

    assert is_small_enough(run)
    assert [each.relation for each in found] == [
        name for name, count in counts.items() if count >= 30
    ]
    for each in found:
        for side in (each.lhs, each.rhs):
            assert sum(b.num_edges for b in side) == counts[each.relation]
            assert all(a.high < b.low for a, b in itertools.pairwise(side))


def test_hits_of_the_buckets_are_those_of_evaluation(run: RunFiles) -> None:
    samples = read_samples(run.reader, run.graph)

    found = bucket_by_degree(run, samples, "test")

    hits = edges = popular = 0.0
    for each in found:
        for bucket in each.rhs:
            hits += bucket.hits * bucket.num_edges
            popular += bucket.popularity_hits * bucket.num_edges
            edges += bucket.num_edges
    name = "test/link_prediction/{}filtered/hits@10/side=rhs"
    assert edges == run.metrics["test/link_prediction/num_edges"]
    assert hits / edges == pytest.approx(run.metrics[name.format("")])
    assert popular / edges == pytest.approx(run.metrics[name.format("popularity/")])


def test_a_sample_of_rows_is_spread_over_the_table(run: RunFiles) -> None:
    everything = read_samples(run.reader, run.graph)["user"]
    sample = read_samples(run.reader, run.graph, max_rows=200)["user"]

    assert len(everything.rows) == 300
    assert len(sample.rows) == 200
    assert sample.rows[0] == 0
    assert sample.rows[-1] == 299
    assert (sample.vectors == everything.vectors[sample.rows]).all()


def test_neighbours_are_of_the_most_connected_and_never_themselves(
    run: RunFiles,
) -> None:
    samples = read_samples(run.reader, run.graph)

    found = find_neighbors(run, samples, EntityNames(run.graph))

    users = [entity for entity in found if entity.entity_type == "user"]
    assert users[0].degree == samples["user"].degrees.max()
    senses = [each.sense for each in users[0].lists]
    assert senses[:2] == ["most alike", "follows \u2192 user"]
    for entity in found:
        for each in entity.lists:
            assert entity.name not in each.names
            assert len(set(each.names)) == 5
