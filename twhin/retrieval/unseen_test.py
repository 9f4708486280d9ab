# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks vectors of unseen entities by hand."""

from pathlib import Path

import numpy as np
import pytest

from twhin.bundle.bundle import Bundle
from twhin.errors import BundleError
from twhin.retrieval.clusters import Clusters, make_clusters
from twhin.retrieval.unseen import UnseenEdges, average, mix
from twhin.scoring import Comparator, Operator
from twhin.side import Side
from twhin.testing.small_bundle import (
    RelationForTest,
    TableForTest,
    write_bundle_for_test,
)

VECTORS = [[1.0, 2.0], [3.0, 4.0], [5.0, 8.0]]


def _bundle(
    folder: Path,
    operator: Operator = Operator.IDENTITY,
    parameters: list[float] | None = None,
    *,
    comparator: Comparator = Comparator.DOT,
    reciprocal: list[float] | None = None,
) -> Bundle:
    write_bundle_for_test(
        folder,
        {"item": TableForTest(ids=[0, 1, 2], vectors=VECTORS)},
        [
            RelationForTest(
                name="like",
                lhs="item",
                rhs="item",
                operator=operator,
                parameters=parameters,
                reciprocal_parameters=reciprocal,
            )
        ],
        comparator=comparator,
    )
    return Bundle.open(folder)


def _edges(
    bundle: Bundle,
    ids: list[int],
    unseen: list[int],
    *,
    relation: str | None = "like",
    side: Side = Side.LHS,
    weights: list[float] | None = None,
) -> UnseenEdges:
    return UnseenEdges(
        relation=relation,
        entity_type="item",
        side=side,
        unseen=np.array(unseen),
        rows=bundle.find("item", np.array(ids)),
        weights=None if weights is None else np.array(weights, np.float32),
    )


def test_identity_gives_the_weighted_mean_of_known_neighbors(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path)
    edges = _edges(bundle, [0, 1, 99, 2], [0, 0, 0, 2], weights=[1.0, 3.0, 5.0, 2.0])

    found = average(bundle, 3, [edges])

    assert found.values.tolist() == [[2.5, 3.5], [0.0, 0.0], [5.0, 8.0]]
    assert found.weights.tolist() == [4.0, 0.0, 2.0]


def test_edges_of_several_relations_are_averaged_together(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path)
    edges = [
        _edges(bundle, [0], [0]),
        _edges(bundle, [2], [0], side=Side.RHS),
        _edges(bundle, [1], [0], relation=None),
    ]

    found = average(bundle, 1, edges)

    assert np.allclose(found.values, [[3.0, 14 / 3]])


# lhs + (10, 1) is near the rhs.
@pytest.mark.parametrize(
    ("side", "expected"),
    [(Side.LHS, [[-7.0, 3.0]]), (Side.RHS, [[13.0, 5.0]])],
)
def test_translation_is_undone_on_the_lhs_and_done_on_the_rhs(
    tmp_path: Path, side: Side, expected: list[list[float]]
) -> None:
    bundle = _bundle(
        tmp_path,
        Operator.TRANSLATION,
        [10.0, 1.0],
        comparator=Comparator.NEGATIVE_L2,
    )

    found = average(bundle, 1, [_edges(bundle, [1], [0], side=side)])

    assert found.values.tolist() == expected


def test_reciprocal_parameters_stand_for_the_inverse(tmp_path: Path) -> None:
    bundle = _bundle(
        tmp_path, Operator.TRANSLATION, [10.0, 1.0], reciprocal=[-9.0, 0.0]
    )

    found = average(bundle, 1, [_edges(bundle, [1], [0])])

    assert found.values.tolist() == [[-6.0, 4.0]]


def test_rotation_is_turned_back(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, Operator.ROTATION, [np.pi / 2])

    found = average(bundle, 1, [_edges(bundle, [1], [0])])

    assert np.allclose(found.values, [[4.0, -3.0]], atol=1e-6)


def test_relation_without_a_transpose_is_refused(tmp_path: Path) -> None:
    bundle = _bundle(
        tmp_path, Operator.DIAGONAL, [2.0, 3.0], comparator=Comparator.COSINE
    )

    with pytest.raises(BundleError, match="cannot rank the lhs"):
        average(bundle, 1, [_edges(bundle, [1], [0])])


def test_wrong_types_and_numbers_are_refused(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path)

    with pytest.raises(ValueError, match="unseen: has 0 to 2; allowed: 0 to 1"):
        average(bundle, 2, [_edges(bundle, [1, 1], [0, 2])])
    with pytest.raises(KeyError):
        average(bundle, 1, [_edges(bundle, [1], [0], relation="dislike")])


def test_mixture_has_the_heaviest_clusters_first(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path)
    of_row = np.zeros(3, np.int64)
    of_row[bundle.find("item", np.array([0, 1, 2]))] = [0, 2, 2]
    clusters = Clusters(centroids=np.zeros((3, 2), np.float32), of_row=of_row)
    edges = _edges(
        bundle, [0, 1, 2, 1, 0], [0, 0, 0, 1, 2], weights=[1.0, 1.0, 3.0, 1.0, 0.0]
    )

    found = mix(bundle, 3, edges, clusters, num_interests=2)

    assert np.allclose(found.weights, [[0.8, 0.2], [1.0, 0.0], [0.0, 0.0]])
    assert found.clusters[0].tolist() == [2, 0]
    assert found.means.tolist() == [
        [[4.5, 7.0], [1.0, 2.0]],
        [[3.0, 4.0], [0.0, 0.0]],
        [[0.0, 0.0], [0.0, 0.0]],
    ]


def test_clusters_find_groups_that_lie_apart(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    group = np.arange(300) % 3
    centers = np.array([[0.0, 9.0], [9.0, 0.0], [-9.0, -9.0]])
    vectors = centers[group] + generator.normal(size=(300, 2))
    table = TableForTest(ids=range(300), vectors=vectors)
    write_bundle_for_test(tmp_path, {"item": table}, num_shards=2)
    bundle = Bundle.open(tmp_path)

    clusters = make_clusters(bundle.tables["item"], 3, seed=1)

    found = clusters.of_row[bundle.find("item", np.arange(300))]
    assert len(set(zip(group.tolist(), found.tolist(), strict=True))) == 3
    assert (clusters.of_row >= 0).all()
