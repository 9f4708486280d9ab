# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Places in a plane where near vectors are near: t-SNE, exact, for some hundreds.

With p the chance that a vector picks another as its neighbour (a Gaussian as wide
as gives `PERPLEXITY` neighbours) and q the same of places (a Student distribution),
places move down the gradient of KL(p | q).

Reference: van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 2008.
"""

import numpy as np

from twhin.report.entity_sample import Floats

PERPLEXITY = 20.0
_NUM_ROUNDS = 300
_NUM_EARLY_ROUNDS = 80
_EXAGGERATION = 8.0
_NUM_HALVINGS = 30
_MIN_CHANCE = 1e-12


def place_neighbors(vectors: Floats, start: Floats) -> Floats:
    """Returns places.

    Takes 24 n^2 bytes and about 1e-6 n^2 seconds.

    Args:
      vectors: [n, D] float32.
      start: [n, 2] float32, places to begin with: principal components.

    Returns:
      [n, 2] float32, their mean 0.
    """
    if len(vectors) < 5:
        return start
    chances = _neighbor_chances(vectors)
    places = start / max(float(start.std()), 1e-12) * np.float32(1e-2)
    steps = np.zeros_like(places)
    gains = np.ones_like(places)
    rate = np.float32(max(len(vectors) / _EXAGGERATION / 4, 50.0))
    for round_number in range(_NUM_ROUNDS):
        is_early = round_number < _NUM_EARLY_ROUNDS
        gradient = _gradient(chances, places, _EXAGGERATION if is_early else 1.0)
        # A step that keeps its sign grows, one that turns shrinks.
        turned = (gradient > 0) == (steps > 0)
        gains = np.maximum(np.where(turned, gains * 0.8, gains + 0.2), 0.01)
        gains = gains.astype(np.float32)
        steps = (0.5 if is_early else 0.8) * steps - rate * gains * gradient
        places = places + steps
        places -= places.mean(axis=0)
    return places


def _gradient(chances: Floats, places: Floats, exaggeration: float) -> Floats:
    """Returns the gradient of KL(p | q), [n, 2] float32."""
    weights = _squared_distances(places)
    weights += 1
    np.reciprocal(weights, out=weights)
    np.fill_diagonal(weights, 0)
    total = np.float32(weights.sum(dtype=np.float64))
    pulls = chances * np.float32(exaggeration)
    pulls -= weights / total
    pulls *= weights
    gradient: Floats = 4 * (pulls.sum(axis=1)[:, None] * places - pulls @ places)
    return gradient


def _neighbor_chances(vectors: Floats) -> Floats:
    """Returns p, [n, n] float32, symmetric, sum 1."""
    distances = _squared_distances(vectors)
    distances /= max(float(distances.mean()), 1e-12)
    np.fill_diagonal(distances, np.inf)
    distances -= distances.min(axis=1, keepdims=True)
    wanted = np.log(min(PERPLEXITY, (len(vectors) - 1) / 3))
    low = np.full(len(vectors), -12.0)
    high = np.full(len(vectors), 12.0)
    finite = np.where(np.isfinite(distances), distances, 0)
    for _ in range(_NUM_HALVINGS):
        middle = (low + high) / 2
        sharpness = np.exp(middle).astype(np.float32)[:, None]
        chances = np.exp(-distances * sharpness)
        sums = chances.sum(axis=1, keepdims=True)
        chances /= sums
        # The entropy of a row: a sharper Gaussian has a lower one.
        entropy = np.log(sums[:, 0]) + sharpness[:, 0] * (finite * chances).sum(axis=1)
        is_wide = entropy > wanted
        low = np.where(is_wide, middle, low)
        high = np.where(is_wide, high, middle)
    symmetric = chances + chances.T
    symmetric /= symmetric.sum(dtype=np.float64)
    result: Floats = np.maximum(symmetric, _MIN_CHANCE).astype(np.float32)
    return result


def _squared_distances(vectors: Floats) -> Floats:
    """Returns [n, n] float32, never below 0."""
    squares = np.einsum("nd,nd->n", vectors, vectors)
    distances: Floats = vectors @ vectors.T
    distances *= -2
    distances += squares[:, None]
    distances += squares
    np.maximum(distances, 0, out=distances)
    return distances
