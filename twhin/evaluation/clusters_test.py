# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of k-means."""

import torch

from twhin.evaluation import clusters


def test_separate_groups_become_clusters() -> None:
    corners = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    noise = torch.rand(90, 2, generator=torch.Generator().manual_seed(0))
    group = torch.arange(90) % 3

    centroids = clusters.find_centroids(corners[group] + noise, 3)

    found = clusters.nearest(corners[group] + noise, centroids)
    assert torch.equal(found, group)
    for number in range(3):
        mean = (corners[group] + noise)[group == number].mean(0)
        torch.testing.assert_close(centroids[number], mean)


def test_nearest_is_by_distance_not_by_product() -> None:
    centroids = torch.tensor([[1.0, 0.0], [100.0, 0.0]])

    found = clusters.nearest(torch.tensor([[2.0, 0.0], [80.0, 5.0]]), centroids)

    assert found.tolist() == [0, 1]


def test_centroid_without_rows_stays() -> None:
    sample = torch.tensor([[2.0], [2.0], [2.0]])

    # Of equal centroids the first takes all rows.
    assert clusters.find_centroids(sample, 2).tolist() == [[2.0], [2.0]]
