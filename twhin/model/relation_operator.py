# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The operator of a relation: a function of an embedding, with parameters.

score(lhs, rel, rhs) = compare(operator_rel(lhs), rhs). Relations mix freely
inside a batch; no operator loops over the relations of edges.

Letters in shapes: B edges, R relations, P parameters of a relation, D embedding
dimension.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from twhin.scoring import Comparator


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What candidates are compared with.

    Attributes:
      vectors: [B, D] float32.
      bias: [B] float32, added to the scores of all candidates; None for 0.
    """

    vectors: Tensor
    bias: Tensor | None = None


class RelationOperator(ABC):
    """An operator, for all relations that use it."""

    @abstractmethod
    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """Fills [R, P] parameters in place."""

    @abstractmethod
    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """Returns operator_rel(x).

        Args:
          x: [B, D] float32.
          parameters: [R, P] float32.
          rel: [B] int64 in [0, R).

        Returns:
          [B, D] float32.
        """

    @abstractmethod
    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """Returns q, b with compare(operator_rel(y), x) = compare(q, y) + b for all y.

        Args:
          x: [B, D] float32.
          parameters: [R, P] float32.
          rel: [B] int64 in [0, R).
          comparator: One of those for which `scoring.has_transpose` is true.
        """

    def products(self, x: Tensor, y: Tensor, parameters: Tensor) -> Tensor:
        """Returns operator_r(x) . y for all relations r, [B, R] float32.

        Args:
          x: [B, D] float32.
          y: [B, D] float32.
          parameters: [R, P] float32.
        """
        return torch.stack(
            [(image * y).sum(-1) for image in self._images(x, parameters)], dim=1
        )

    def squared_norms(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Returns |operator_r(x)|^2 for all relations r, [B, R] float32; see above."""
        return torch.stack(
            [image.square().sum(-1) for image in self._images(x, parameters)], dim=1
        )

    def _images(self, x: Tensor, parameters: Tensor) -> Iterator[Tensor]:
        """Yields operator_r(x), [B, D], for one relation after the other."""
        for r in range(len(parameters)):
            one = torch.zeros(len(x), dtype=torch.int64, device=x.device)
            yield self.apply(x, parameters[r : r + 1], one)

    def shift(self, parameters: Tensor, dim: int) -> Tensor | None:
        """Returns s with operator_rel(x) = x + s_rel for all x; None where there is none.

        Args:
          parameters: [R, P] float32.
          dim: D.

        Returns:
          [R, D] float32.
        """
        return None

    def moduli(self, x: Tensor) -> Tensor:
        """Returns the absolute values of the numbers of an embedding.

        Args:
          x: [..., D] float32.

        Returns:
          [..., D] float32; [..., D/2] where the numbers are complex.
        """
        return x.abs()

    def parameter_moduli(self, parameters: Tensor) -> Tensor:
        """Returns the absolute values of what a penalty holds small.

        Args:
          parameters: [R, P] float32.

        Returns:
          [R, K] float32; K may be 0.
        """
        return parameters.abs()


def of_edges(parameters: Tensor, rel: Tensor) -> Tensor:
    """Returns the parameters of each edge's relation.

    Args:
      parameters: [R, P] float32.
      rel: [B] int64 in [0, R).

    Returns:
      [B, P]; [1, P], which broadcasts, where there is one relation.
    """
    if parameters.shape[0] == 1:
        return parameters
    return functional.embedding(rel, parameters)


def repeated(values: Tensor, parameters: Tensor) -> Tensor:
    """Returns [B, R]: [B] values for each of the relations that have parameters."""
    return values.unsqueeze(-1).expand(-1, len(parameters))
