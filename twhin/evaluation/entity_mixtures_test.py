# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of mixtures by numbers computed by hand."""

import torch

from twhin.config.settings import Mixture
from twhin.evaluation.candidates import Candidates
from twhin.evaluation.clusters import Clusters
from twhin.evaluation.dense_tables import DenseTables
from twhin.evaluation.entity_mixtures import EntityMixture, EntityMixtures
from twhin.evaluation.known_edges import KnownEdges
from twhin.evaluation.sharded_rows import ShardedRows
from twhin.graph.schema import EntityTypeSchema, GraphSchema

# Users 0 and 1 point the same way, so do 2 and 3.
USERS = torch.tensor([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0], [0.1, 3.0]])
ITEMS = torch.tensor([[1.0, 1.0], [3.0, 1.0], [0.0, 8.0], [6.0, 6.0]])
# Items 0 and 1 are cluster 0, item 2 is cluster 1, item 3 is cluster 2.
CLUSTER = torch.tensor([0, 0, 1, 2])
# User 0 has items 0, 1, 2; user 1 items 2, 3; user 2 item 3; user 3 none.
EDGES = torch.tensor([0, 1, 2, 4 + 2, 4 + 3, 8 + 3])


def _represent(
    entities: list[int], *, smoothing: float, num_interests: int = 2
) -> EntityMixture:
    schema = GraphSchema(
        entity_types=(
            EntityTypeSchema(name="user", num_entities=4),
            EntityTypeSchema(name="item", num_entities=4),
        ),
        relations=(),
    )
    tables = {"user": USERS, "item": ITEMS}
    mixtures = EntityMixtures(
        Mixture(
            num_clusters=3,
            num_interests=num_interests,
            smoothing=smoothing,
            num_neighbors=1,
        ),
        rows=ShardedRows(
            tables=DenseTables(
                schema=schema,
                embedding_dim=2,
                read_rows=lambda name, start, stop: tables[name][start:stop],
                device=torch.device("cpu"),
            ),
            entity_types=["user", "item"],
            device=torch.device("cpu"),
        ),
        lhs=Candidates(entity_type="user", num_rows=4),
        rhs=Candidates(entity_type="item", num_rows=4),
        clusters=Clusters(centroids=torch.zeros(3, 2), of_row=CLUSTER),
        edges=KnownEdges(EDGES, 4),
    )
    return mixtures.represent(torch.tensor(entities))


def test_weights_are_shares_of_training_edges() -> None:
    mixture = _represent([0], smoothing=0.0)

    assert mixture.clusters.tolist() == [[0, 1]]
    torch.testing.assert_close(mixture.weights, torch.tensor([[2 / 3, 1 / 3]]))
    torch.testing.assert_close(mixture.means, torch.tensor([[[2.0, 1.0], [0.0, 8.0]]]))


def test_smoothing_adds_the_edges_of_the_nearest_neighbour() -> None:
    mixture = _represent([0], smoothing=0.5, num_interests=3)

    # Own thirds of 1/2 for items 0, 1, 2; halves of 1/2 of user 1 for items 2, 3.
    assert mixture.clusters.tolist() == [[1, 0, 2]]
    torch.testing.assert_close(
        mixture.weights, torch.tensor([[1 / 6 + 1 / 4, 1 / 3, 1 / 4]])
    )
    torch.testing.assert_close(
        mixture.means, torch.tensor([[[0.0, 8.0], [2.0, 1.0], [6.0, 6.0]]])
    )


def test_mean_is_weighted_by_own_and_neighbours_shares() -> None:
    mixture = _represent([1], smoothing=0.25, num_interests=3)

    # User 1: 3/8 for items 2 and 3; its neighbour, user 0: 1/12 for 0, 1, 2.
    assert mixture.clusters.tolist() == [[1, 2, 0]]
    torch.testing.assert_close(
        mixture.weights, torch.tensor([[3 / 8 + 1 / 12, 3 / 8, 1 / 6]])
    )


def test_entity_without_edges_has_its_neighbours_or_nothing() -> None:
    smoothed = _represent([3], smoothing=0.5)
    alone = _represent([3], smoothing=0.0)

    assert smoothed.clusters.tolist()[0][0] == 2
    torch.testing.assert_close(smoothed.weights, torch.tensor([[0.5, 0.0]]))
    assert alone.weights.tolist() == [[0.0, 0.0]]
    assert alone.means.tolist() == [[[0.0, 0.0], [0.0, 0.0]]]


def test_only_the_largest_clusters_are_kept() -> None:
    mixture = _represent([0, 1], smoothing=0.5, num_interests=1)

    assert mixture.clusters.tolist() == [[1], [1]]
    assert mixture.means.shape == (2, 1, 2)
