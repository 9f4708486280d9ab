# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A map of entities: places in a plane, and clusters."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twhin.evaluation.edges import Integers
from twhin.report.entity_sample import EntitySample, Floats
from twhin.report.neighbor_map import place_neighbors

NUM_CLUSTERS = 8
_NUM_ROUNDS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityMap:
    """n entities in the plane.

    Attributes:
      types: [n] int64, positions of their types among those of the samples.
      rows: [n] int64, their rows.
      places: [n, 2] float32, principal components; see `project`.
      neighbor_places: [n, 2] float32; see `place_neighbors`.
      clusters: [n] int64 in [0, NUM_CLUSTERS), the largest cluster first.
      explained: The share of the variance along each of the two directions.
    """

    types: Integers
    rows: Integers
    places: Floats
    neighbor_places: Floats
    clusters: Integers
    explained: tuple[float, float]


def make_map(
    samples: Mapping[str, EntitySample], max_entities: int, seed: int = 0
) -> EntityMap:
    """Draws entities, equally many of each type where there are so many.

    Args:
      samples: At least one, by entity type.
      max_entities: The largest n.
      seed: Equal seeds draw alike.
    """
    generator = np.random.default_rng(seed)
    each = max_entities // len(samples)
    drawn = [
        np.sort(generator.permutation(len(sample.rows))[:each])
        for sample in samples.values()
    ]
    # Directions, and not lengths: those go with popularity.
    vectors = np.concatenate(
        [s.unit_vectors[part] for s, part in zip(samples.values(), drawn, strict=True)]
    )
    places, explained = project(vectors)
    return EntityMap(
        types=np.repeat(np.arange(len(drawn)), [len(part) for part in drawn]),
        rows=np.concatenate(
            [s.rows[part] for s, part in zip(samples.values(), drawn, strict=True)]
        ),
        places=places,
        neighbor_places=place_neighbors(vectors, places),
        clusters=cluster(vectors, NUM_CLUSTERS, generator),
        explained=explained,
    )


def project(vectors: Floats) -> tuple[Floats, tuple[float, float]]:
    """Returns the first two principal components.

    Args:
      vectors: [n, D] float32, n at least 1.

    Returns:
      [n, 2] float32, and the share of the variance along each of them.
    """
    centred = vectors - vectors.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(-variances)[:2]
    places = np.zeros((len(vectors), 2), np.float32)
    places[:, : len(order)] = centred @ directions[:, order]
    total = max(float(variances.sum()), 1e-30)
    first, second = (*(variances[order] / total).tolist(), 0.0)[:2]
    return places, (first, second)


def cluster(vectors: Floats, number: int, generator: np.random.Generator) -> Integers:
    """Returns the k-means cluster of each vector, [n] int64, the largest first."""
    number = min(number, len(vectors))
    centres = vectors[_spread_out(vectors, number, generator)]
    for _ in range(_NUM_ROUNDS):
        nearest = _distances(vectors, centres).argmin(axis=1)
        for place in np.unique(nearest):
            centres[place] = vectors[nearest == place].mean(axis=0)
    sizes = np.bincount(nearest, minlength=number)
    new_number = np.empty(number, np.int64)
    new_number[np.argsort(-sizes, kind="stable")] = np.arange(number)
    found: Integers = new_number[nearest]
    return found


def _spread_out(
    vectors: Floats, number: int, generator: np.random.Generator
) -> list[int]:
    """Returns the first centres: each far from those before (k-means++)."""
    chosen = [int(generator.integers(len(vectors)))]
    distances = _distances(vectors, vectors[chosen])[:, 0]
    while len(chosen) < number:
        total = distances.sum()
        weights = distances / total if total > 0 else None
        chosen.append(int(generator.choice(len(vectors), p=weights)))
        new = _distances(vectors, vectors[chosen[-1:]])[:, 0]
        distances = np.minimum(distances, new)
    return chosen


def _distances(vectors: Floats, centres: Floats) -> npt.NDArray[np.float64]:
    """Returns the squared distances, [n, k] float64."""
    wide, centres = vectors.astype(np.float64), centres.astype(np.float64)
    squares = (wide**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * wide @ centres.T
    distances: npt.NDArray[np.float64] = np.maximum(squares, 0)
    return distances
