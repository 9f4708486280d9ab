# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The operators of relations, by name; those of single numbers.

Letters in shapes: B edges, R relations, P parameters of a relation, D embedding
dimension.
"""

import torch
from torch import Tensor

from twhin.model.complex_operators import ComplexDiagonalOperator, RotationOperator
from twhin.model.matrix_operators import AffineOperator, LinearOperator
from twhin.model.relation_operator import Query, RelationOperator, of_edges, repeated
from twhin.scoring import Comparator, Operator


class IdentityOperator(RelationOperator):
    """x."""

    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """Has nothing to fill."""

    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """See `RelationOperator`."""
        return x

    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """x itself."""
        return Query(vectors=x)

    def products(self, x: Tensor, y: Tensor, parameters: Tensor) -> Tensor:
        """See `RelationOperator`."""
        return repeated((x * y).sum(-1), parameters)

    def squared_norms(self, x: Tensor, parameters: Tensor) -> Tensor:
        """See `RelationOperator`."""
        return repeated(x.square().sum(-1), parameters)

    def shift(self, parameters: Tensor, dim: int) -> Tensor:
        """0."""
        return parameters.new_zeros(len(parameters), dim)


class TranslationOperator(RelationOperator):
    """x + r, from r = 0.

    Reference: Bordes et al., "Translating Embeddings for Modeling
    Multi-relational Data", NIPS 2013; TwHIN (arXiv 2202.05387), equation 1.
    """

    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """All zero, so that training starts from the plain comparison."""
        parameters.zero_()

    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """See `RelationOperator`."""
        return x + of_edges(parameters, rel)

    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """(y + r) . x = y . x + r . x; for distances, |y + r - x| = |y - (x - r)|."""
        r = of_edges(parameters, rel)
        if comparator is Comparator.DOT:
            return Query(vectors=x, bias=(r * x).sum(-1))
        return Query(vectors=x - r)

    def products(self, x: Tensor, y: Tensor, parameters: Tensor) -> Tensor:
        """x . y + r . y."""
        return torch.addmm((x * y).sum(-1, keepdim=True), y, parameters.T)

    def squared_norms(self, x: Tensor, parameters: Tensor) -> Tensor:
        """|x|^2 + 2 x . r + |r|^2."""
        own = x.square().sum(-1, keepdim=True) + parameters.square().sum(-1)
        return torch.addmm(own, x, parameters.T, alpha=2.0)

    def shift(self, parameters: Tensor, dim: int) -> Tensor:
        """r."""
        return parameters


class DiagonalOperator(RelationOperator):
    """x * r element by element, from r = 1.

    Reference: Yang et al., "Embedding Entities and Relations for Learning and
    Inference in Knowledge Bases" (DistMult), arXiv 1412.6575.
    """

    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """All one, so that training starts from the plain comparison."""
        parameters.fill_(1.0)

    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """See `RelationOperator`."""
        return x * of_edges(parameters, rel)

    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """(y * r) . x = y . (x * r)."""
        return Query(vectors=self.apply(x, parameters, rel))

    def products(self, x: Tensor, y: Tensor, parameters: Tensor) -> Tensor:
        """(x * y) . r."""
        return (x * y) @ parameters.T

    def squared_norms(self, x: Tensor, parameters: Tensor) -> Tensor:
        """(x * x) . (r * r)."""
        return x.square() @ parameters.square().T


def make_operator(operator: Operator) -> RelationOperator:
    """Returns the operator that a configuration names."""
    match operator:
        case Operator.IDENTITY:
            return IdentityOperator()
        case Operator.TRANSLATION:
            return TranslationOperator()
        case Operator.DIAGONAL:
            return DiagonalOperator()
        case Operator.COMPLEX_DIAGONAL:
            return ComplexDiagonalOperator()
        case Operator.ROTATION:
            return RotationOperator()
        case Operator.LINEAR:
            return LinearOperator()
        case Operator.AFFINE:
            return AffineOperator()
