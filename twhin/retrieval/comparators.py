# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""How a query is compared with candidates, in numpy; larger means more alike.

Letters in shapes: n queries, m candidates, D embedding dimension.
"""

import numpy as np
import numpy.typing as npt

from twhin.scoring import Comparator

Floats = npt.NDArray[np.float32]

_MIN_SQUARED_DISTANCE = np.float32(1e-12)
_MIN_NORM = np.float32(1e-12)


def elementwise(comparator: Comparator, queries: Floats, candidates: Floats) -> Floats:
    """Compares each query with candidates of its own.

    Args:
      comparator: The comparison.
      queries: float32 [n, D].
      candidates: float32 [n, m, D].

    Returns:
      float32 [n, m].
    """
    scores: Floats
    match comparator:
        case Comparator.DOT:
            scores = _products(queries, candidates)
        case Comparator.COSINE:
            scores = _products(normalize(queries), candidates)
            scores /= np.maximum(np.sqrt(np.square(candidates).sum(-1)), _MIN_NORM)
        case Comparator.NEGATIVE_L1:
            scores = -np.abs(candidates - queries[:, None]).sum(-1)
        case Comparator.NEGATIVE_SQUARED_L2:
            scores = -np.square(candidates - queries[:, None]).sum(-1)
        case Comparator.NEGATIVE_L2:
            squares = np.square(candidates - queries[:, None]).sum(-1)
            scores = -np.sqrt(np.maximum(squares, _MIN_SQUARED_DISTANCE))
    return scores


def pairwise(comparator: Comparator, queries: Floats, candidates: Floats) -> Floats:
    """Compares every query with every candidate.

    Distances come from |a - b|^2 = |a|^2 + |b|^2 - 2 a . b, and lose digits where
    a is close to b.

    Args:
      comparator: The comparison.
      queries: float32 [n, D].
      candidates: float32 [m, D].

    Returns:
      float32 [n, m].
    """
    scores: Floats
    match comparator:
        case Comparator.DOT:
            scores = queries @ candidates.T
        case Comparator.COSINE:
            scores = normalize(queries) @ candidates.T
            scores /= np.maximum(np.sqrt(_squares(candidates)), _MIN_NORM)
        case Comparator.NEGATIVE_L1:
            scores = np.empty((len(queries), len(candidates)), np.float32)
            for row, query in zip(scores, queries, strict=True):
                np.negative(np.abs(candidates - query).sum(-1), out=row)
        case Comparator.NEGATIVE_SQUARED_L2:
            scores = -_squared_distances(queries, candidates)
        case Comparator.NEGATIVE_L2:
            squares = _squared_distances(queries, candidates)
            scores = -np.sqrt(np.maximum(squares, _MIN_SQUARED_DISTANCE))
    return scores


def normalize(vectors: Floats) -> Floats:
    """Returns vectors [n, D] with norm 1; those shorter than 1e-12 stay short."""
    norms: Floats = np.sqrt(_squares(vectors))
    np.maximum(norms, _MIN_NORM, out=norms)
    unit: Floats = vectors / norms[:, None]
    return unit


def _products(queries: Floats, candidates: Floats) -> Floats:
    """Returns [n, m] of [n, D] and [n, m, D]."""
    # Unlike a matrix product, the same for a row wherever it stands.
    products: Floats = np.vecdot(candidates, queries[:, None])
    return products


def _squares(vectors: Floats) -> Floats:
    squares: Floats = np.einsum("nd,nd->n", vectors, vectors)
    return squares


def _squared_distances(queries: Floats, candidates: Floats) -> Floats:
    """Returns [n, m], never below 0."""
    squares: Floats = queries @ candidates.T
    squares *= -2
    squares += _squares(queries)[:, None]
    squares += _squares(candidates)
    np.maximum(squares, 0, out=squares)
    return squares
