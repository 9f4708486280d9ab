# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of projections, places and clusters."""

import numpy as np

from twhin.report.entity_map import cluster, project
from twhin.report.neighbor_map import place_neighbors


def _groups(num: int, each: int) -> np.ndarray:
    """Returns `num` tight groups of vectors at right angles, one after another."""
    generator = np.random.default_rng(1)
    centres = np.repeat(np.eye(num, 16, dtype=np.float32), each, axis=0)
    noise = 0.05 * generator.standard_normal(centres.shape)
    return (centres + noise).astype(np.float32)


def test_groups_stay_together_in_the_plane() -> None:
    vectors = _groups(6, 30)
    start, _ = project(vectors)

    places = place_neighbors(vectors, start)

    middles = places.reshape(6, 30, 2).mean(axis=1)
    distances = np.linalg.norm(places[:, None] - middles, axis=2)
    assert (distances.argmin(axis=1) == np.repeat(np.arange(6), 30)).mean() > 0.95


def test_equal_vectors_have_finite_places() -> None:
    vectors = np.ones((40, 4), np.float32)
    start, _ = project(vectors)

    assert np.isfinite(place_neighbors(vectors, start)).all()


def test_few_vectors_stay_where_they_start() -> None:
    start = np.array([[0, 1], [2, 3]], np.float32)

    assert place_neighbors(np.eye(2, 4, dtype=np.float32), start) is start


def test_projection_finds_the_widest_directions() -> None:
    vectors = np.array([[-3, 0, 0], [3, 0, 0], [0, -1, 0], [0, 1, 0]], np.float32)

    places, explained = project(vectors)

    np.testing.assert_allclose(np.abs(places[:2, 0]), 3, atol=1e-5)
    np.testing.assert_allclose(np.abs(places[2:, 1]), 1, atol=1e-5)
    np.testing.assert_allclose(explained, (0.9, 0.1), atol=1e-6)


def test_one_dimension_projects_to_a_line() -> None:
    places, explained = project(np.array([[1.0], [3.0]], np.float32))

    np.testing.assert_allclose(places[:, 1], 0)
    assert explained == (1.0, 0.0)


def test_clusters_are_the_groups_largest_first() -> None:
    vectors = np.concatenate([_groups(4, 20), _groups(4, 20)[:20]])

    found = cluster(vectors, 4, np.random.default_rng(0))

    assert (found[:20] == found[0]).all()
    assert found[0] == 0 == found[80]
    assert len({found[place] for place in (0, 20, 40, 60)}) == 4
