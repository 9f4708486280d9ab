# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Comparisons as matrix products, for ranking only.

Letters in shapes: Q queries, N candidates, D embedding dimension, K the width
of prepared vectors.

A rank depends on the order of the candidates of one query and on nothing else.
So a comparison may be replaced by any increasing function of it, another one
for each query:

    dot                 q . c
    cosine              q . c / (|q| |c|)
    -|q - c|, -|q - c|^2    q . c - |c|^2 / 2  =  (q, 1) . (c, -|c|^2 / 2)

All of these are one matrix product of prepared vectors. Only -|q - c|_1 is not.
"""

import torch
from torch import Tensor
from torch.nn import functional

from twhin.scoring import Comparator

_L2 = (Comparator.NEGATIVE_L2, Comparator.NEGATIVE_SQUARED_L2)

# Rounding in float32, relative to the sum of the absolute values of the terms:
# 8 times the distance from 1 to the next float32.
_TOLERANCE = 2.0**-20


class Comparison:
    """Scores that order the candidates of a query as a comparator does."""

    def __init__(self, comparator: Comparator) -> None:
        """Chooses the preparation and the product for a comparator."""
        self._comparator = comparator

    def prepare_queries(self, vectors: Tensor) -> Tensor:
        """Returns [Q, K] float32 for queries [Q, D] float32."""
        if self._comparator is Comparator.COSINE:
            return functional.normalize(vectors, eps=1e-12)
        if self._comparator in _L2:
            return functional.pad(vectors, (0, 1), value=1.0)
        return vectors

    def prepare_candidates(self, rows: Tensor) -> Tensor:
        """Returns [N, K] float32 for rows [N, D] float32 or float16."""
        vectors = rows.float()
        if self._comparator is Comparator.COSINE:
            return functional.normalize(vectors, eps=1e-12)
        if self._comparator in _L2:
            halves = vectors.square().sum(1, keepdim=True).mul_(-0.5)
            return torch.cat([vectors, halves], dim=1)
        return vectors

    def scores(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """Returns [Q, N] float32 for prepared [Q, K] and [N, K]."""
        if self._comparator is Comparator.NEGATIVE_L1:
            return torch.cdist(queries, candidates, p=1.0).neg_()
        return queries @ candidates.t()

    def pair_bounds(self, queries: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the scores of pairs, less and more what rounding may do.

        Matrix products round differently from block to block. A score within the
        bounds is equal to that of the pair as far as float32 can tell.

        Args:
          queries: [N, K] float32, prepared.
          candidates: [N, K] float32, prepared.

        Returns:
          The lower and the upper bounds, each [N] float32.
        """
        if self._comparator is Comparator.NEGATIVE_L1:
            scores = (queries - candidates).abs().sum(1).neg_()
            margins = _TOLERANCE * scores.abs()
        else:
            terms = queries * candidates
            scores = terms.sum(1)
            margins = _TOLERANCE * terms.abs_().sum(1)
        return scores - margins, scores + margins
