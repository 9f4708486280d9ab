# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""How two embeddings are compared; a larger score means more alike.

Letters in shapes: B queries, N candidates, D embedding dimension; "..." stands
for any number of leading dimensions, the same on both sides.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from twhin.scoring import Comparator

# Below this squared distance the gradient of the distance is taken as zero.
_MIN_SQUARED_DISTANCE = 1e-12
# Vectors are divided by their norm, or by this where it is smaller.
MIN_NORM = 1e-12

# Gives |a|^2 and |b|^2.
Squares: TypeAlias = Callable[[], tuple[Tensor, Tensor]]


class Compare(Protocol):
    """Compares queries with candidates."""

    def elementwise(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """Compares the n-th query with the n-th candidate.

        Args:
          queries: [..., D] float32.
          candidates: [..., D] float32.

        Returns:
          [...] float32.
        """
        ...

    def pairwise(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """Compares every query with every candidate.

        Args:
          queries: [..., B, D] float32.
          candidates: [..., N, D] float32.

        Returns:
          [..., B, N] float32.
        """
        ...

    def from_products(self, products: Tensor, squares: Squares) -> Tensor:
        """Compares vectors of which their products are known.

        Args:
          products: a . b.
          squares: Gives |a|^2 and |b|^2, which broadcast with `products`.

        Returns:
          As `products`.

        Raises:
          ValueError: The comparison is no function of these.
        """
        ...


class DotCompare:
    """a . b."""

    def elementwise(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """See `Compare`."""
        return (queries * candidates).sum(-1)

    def pairwise(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """See `Compare`."""
        return queries @ candidates.transpose(-1, -2)

    def from_products(self, products: Tensor, squares: Squares) -> Tensor:
        """See `Compare`."""
        return products


class CosineCompare:
    """a . b / (|a| |b|); 0 where a norm is below 1e-12."""

    def elementwise(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """See `Compare`."""
        return (normalize(queries) * normalize(candidates)).sum(-1)

    def pairwise(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """See `Compare`."""
        return normalize(queries) @ normalize(candidates).transpose(-1, -2)

    def from_products(self, products: Tensor, squares: Squares) -> Tensor:
        """See `Compare`."""
        first, second = (square.clamp_min(MIN_NORM**2).sqrt() for square in squares())
        return products / (first * second)


class NegativeSquaredL2Compare:
    """-|a - b|^2."""

    def elementwise(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """See `Compare`."""
        return -(queries - candidates).square().sum(-1)

    def pairwise(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """See `Compare`; by |a - b|^2 = |a|^2 + |b|^2 - 2 a . b."""
        return self.from_products(*_products(queries, candidates))

    def from_products(self, products: Tensor, squares: Squares) -> Tensor:
        """See `Compare`."""
        return -(sum(squares()) - 2.0 * products).clamp_min(0.0)


class NegativeL2Compare:
    """-|a - b|; its gradient is 0 where a = b."""

    def elementwise(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """See `Compare`."""
        return -_root((queries - candidates).square().sum(-1))

    def pairwise(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """See `Compare`; by |a - b|^2 = |a|^2 + |b|^2 - 2 a . b."""
        return self.from_products(*_products(queries, candidates))

    def from_products(self, products: Tensor, squares: Squares) -> Tensor:
        """See `Compare`."""
        return -_root(sum(squares()) - 2.0 * products)


class NegativeL1Compare:
    """-|a - b|_1, the sum of the absolute differences."""

    def elementwise(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """See `Compare`."""
        return -(queries - candidates).abs().sum(-1)

    def pairwise(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """See `Compare`."""
        return -torch.cdist(queries, candidates, p=1.0)

    def from_products(self, products: Tensor, squares: Squares) -> Tensor:
        """See `Compare`."""
        raise ValueError("an L1 distance is no function of products")


def make_comparator(comparator: Comparator) -> Compare:
    """Returns the comparison that a configuration names."""
    match comparator:
        case Comparator.DOT:
            return DotCompare()
        case Comparator.COSINE:
            return CosineCompare()
        case Comparator.NEGATIVE_L2:
            return NegativeL2Compare()
        case Comparator.NEGATIVE_SQUARED_L2:
            return NegativeSquaredL2Compare()
        case Comparator.NEGATIVE_L1:
            return NegativeL1Compare()


def normalize(vectors: Tensor) -> Tensor:
    """Returns vectors of norm 1; [..., D], shorter where the norm is below `MIN_NORM`."""
    return functional.normalize(vectors, dim=-1, eps=MIN_NORM)


def _products(queries: Tensor, candidates: Tensor) -> tuple[Tensor, Squares]:
    """Returns the products of all pairs, [..., B, N], and their squares."""

    def squares() -> tuple[Tensor, Tensor]:
        return (
            queries.square().sum(-1, keepdim=True),
            candidates.square().sum(-1).unsqueeze(-2),
        )

    return queries @ candidates.transpose(-1, -2), squares


def _root(squared: Tensor) -> Tensor:
    return squared.clamp_min(_MIN_SQUARED_DISTANCE).sqrt()
