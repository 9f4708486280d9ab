# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The operators of relations: functions of an embedding with parameters.

score(lhs, rel, rhs) = compare(operator_rel(lhs), rhs). Relations mix freely
inside a batch; no operator loops over them.

Letters in shapes: B edges, R relations, P parameters of a relation, D embedding
dimension.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from twhin.config.settings import Comparator, Operator

_L2 = (Comparator.NEGATIVE_L2, Comparator.NEGATIVE_SQUARED_L2)
_MIN_SQUARED_MODULUS = 1e-24
# Edges of one relation are multiplied by its matrix in blocks of this many.
_BLOCK = 32


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
    def num_parameters(self, dim: int) -> int:
        """Returns P for embeddings of dimension D."""

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
          comparator: One of those for which `has_transpose` is true.
        """

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


class IdentityOperator(RelationOperator):
    """x."""

    def num_parameters(self, dim: int) -> int:
        """0."""
        return 0

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

    def shift(self, parameters: Tensor, dim: int) -> Tensor:
        """0."""
        return parameters.new_zeros(len(parameters), dim)


class TranslationOperator(RelationOperator):
    """x + r, from r = 0.

    Reference: Bordes et al., "Translating Embeddings for Modeling
    Multi-relational Data", NIPS 2013; TwHIN (arXiv 2202.05387), equation 1.
    """

    def num_parameters(self, dim: int) -> int:
        """D."""
        return dim

    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """All zero, so that training starts from the plain comparison."""
        parameters.zero_()

    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """See `RelationOperator`."""
        return x + _of_edges(parameters, rel)

    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """(y + r) . x = y . x + r . x; for distances, |y + r - x| = |y - (x - r)|."""
        r = _of_edges(parameters, rel)
        if comparator is Comparator.DOT:
            return Query(vectors=x, bias=(r * x).sum(-1))
        return Query(vectors=x - r)

    def shift(self, parameters: Tensor, dim: int) -> Tensor:
        """r."""
        return parameters


class DiagonalOperator(RelationOperator):
    """x * r element by element, from r = 1.

    Reference: Yang et al., "Embedding Entities and Relations for Learning and
    Inference in Knowledge Bases" (DistMult), arXiv 1412.6575.
    """

    def num_parameters(self, dim: int) -> int:
        """D."""
        return dim

    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """All one, so that training starts from the plain comparison."""
        parameters.fill_(1.0)

    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """See `RelationOperator`."""
        return x * _of_edges(parameters, rel)

    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """(y * r) . x = y . (x * r)."""
        return Query(vectors=self.apply(x, parameters, rel))


class ComplexDiagonalOperator(RelationOperator):
    """x * r as D/2 complex numbers, from r = 1.

    The first D/2 elements are the real parts. Compared by a dot product this is
    Re <x, r, conj(t)>.

    Reference: Trouillon et al., "Complex Embeddings for Simple Link Prediction"
    (ComplEx), arXiv 1606.06357.
    """

    def num_parameters(self, dim: int) -> int:
        """D."""
        return dim

    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """Real parts one, imaginary parts zero."""
        half = parameters.shape[1] // 2
        parameters[:, :half] = 1.0
        parameters[:, half:] = 0.0

    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """See `RelationOperator`."""
        real, imaginary = _of_edges(parameters, rel).chunk(2, -1)
        return _multiply_complex(x, real, imaginary)

    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """The adjoint of a complex product is the product with the conjugate."""
        real, imaginary = _of_edges(parameters, rel).chunk(2, -1)
        return Query(vectors=_multiply_complex(x, real, -imaginary))

    def moduli(self, x: Tensor) -> Tensor:
        """See `RelationOperator`."""
        return _complex_moduli(x)

    def parameter_moduli(self, parameters: Tensor) -> Tensor:
        """See `RelationOperator`."""
        return _complex_moduli(parameters)


class RotationOperator(RelationOperator):
    """x * exp(i r) as D/2 complex numbers, r uniform over the circle at first.

    Reference: Sun et al., "RotatE: Knowledge Graph Embedding by Relational
    Rotation in Complex Space", arXiv 1902.10197.
    """

    def num_parameters(self, dim: int) -> int:
        """D/2."""
        return dim // 2

    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """Uniform in [-pi, pi)."""
        parameters.uniform_(-math.pi, math.pi, generator=generator)

    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """See `RelationOperator`."""
        angles = _of_edges(parameters, rel)
        return _multiply_complex(x, angles.cos(), angles.sin())

    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """The rotation back; a rotation keeps norms and dot products."""
        angles = _of_edges(parameters, rel)
        return Query(vectors=_multiply_complex(x, angles.cos(), -angles.sin()))

    def moduli(self, x: Tensor) -> Tensor:
        """See `RelationOperator`."""
        return _complex_moduli(x)

    def parameter_moduli(self, parameters: Tensor) -> Tensor:
        """None: a rotation has modulus 1 whatever the angle."""
        return parameters[:, :0]


class LinearOperator(RelationOperator):
    """R x with a matrix R, the identity at first.

    Reference: Nickel et al., "A Three-Way Model for Collective Learning on
    Multi-Relational Data" (RESCAL), ICML 2011.
    """

    def num_parameters(self, dim: int) -> int:
        """D^2, row by row."""
        return dim * dim

    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """The identity."""
        dim = math.isqrt(parameters.shape[1])
        parameters.copy_(torch.eye(dim, device=parameters.device).flatten())

    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """See `RelationOperator`."""
        return _multiply_matrices(x, _matrices(parameters, x.shape[1]), rel)

    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """(R y) . x = y . (R^T x)."""
        transposed = _matrices(parameters, x.shape[1]).transpose(1, 2)
        return Query(vectors=_multiply_matrices(x, transposed, rel))


class AffineOperator(RelationOperator):
    """R x + r, from the identity and 0; parameters are R row by row, then r."""

    def num_parameters(self, dim: int) -> int:
        """D^2 + D."""
        return dim * dim + dim

    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """The identity, and a translation by 0."""
        dim = math.isqrt(parameters.shape[1])
        parameters.zero_()
        parameters[:, : dim * dim] = torch.eye(dim, device=parameters.device).flatten()

    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """See `RelationOperator`."""
        dim = x.shape[1]
        matrices = _matrices(parameters[:, : dim * dim], dim)
        translation = _of_edges(parameters[:, dim * dim :], rel)
        return _multiply_matrices(x, matrices, rel) + translation

    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """(R y + r) . x = y . (R^T x) + r . x."""
        dim = x.shape[1]
        transposed = _matrices(parameters[:, : dim * dim], dim).transpose(1, 2)
        translation = _of_edges(parameters[:, dim * dim :], rel)
        return Query(
            vectors=_multiply_matrices(x, transposed, rel),
            bias=(translation * x).sum(-1),
        )


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


def has_transpose(operator: Operator, comparator: Comparator) -> bool:
    """Returns whether the lhs can be ranked without reciprocal parameters."""
    match operator:
        case Operator.IDENTITY:
            return True
        case Operator.TRANSLATION:
            return comparator is not Comparator.COSINE
        case Operator.ROTATION:
            return comparator in (Comparator.DOT, Comparator.COSINE, *_L2)
        case _:
            return comparator is Comparator.DOT


def _of_edges(parameters: Tensor, rel: Tensor) -> Tensor:
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


def _complex_moduli(x: Tensor) -> Tensor:
    """Returns [..., D/2], the moduli of [..., D]; their gradient is 0 at 0."""
    real, imaginary = x.chunk(2, -1)
    squared = real.square() + imaginary.square()
    return squared.clamp_min(_MIN_SQUARED_MODULUS).sqrt()


def _multiply_complex(x: Tensor, real: Tensor, imaginary: Tensor) -> Tensor:
    """Returns [B, D]: x [B, D] times complex numbers of [B, D/2] parts."""
    x_real, x_imaginary = x.chunk(2, -1)
    return torch.cat(
        (
            x_real * real - x_imaginary * imaginary,
            x_real * imaginary + x_imaginary * real,
        ),
        dim=-1,
    )


def _matrices(parameters: Tensor, dim: int) -> Tensor:
    """Returns [R, D, D] of [R, D * D]."""
    return parameters.reshape(-1, dim, dim)


def _multiply_matrices(x: Tensor, matrices: Tensor, rel: Tensor) -> Tensor:
    """Returns [B, D]: row e is matrices[rel[e]] times x[e].

    Edges are laid out by relation in blocks of `_BLOCK`, the last block of a
    relation padded with zeros, so that one batched product serves all.
    """
    num_relations, dim = matrices.shape[0], x.shape[1]
    counts = torch.bincount(rel, minlength=num_relations)
    num_blocks = (counts + _BLOCK - 1) // _BLOCK
    first_block = num_blocks.cumsum(0) - num_blocks
    order = torch.argsort(rel, stable=True)
    sorted_rel = rel[order]
    place = torch.arange(rel.shape[0], device=rel.device)
    place = place - (counts.cumsum(0) - counts)[sorted_rel]
    slot = torch.empty_like(rel)
    slot[order] = first_block[sorted_rel] * _BLOCK + place
    block_rel = torch.repeat_interleave(num_blocks)
    padded = x.new_zeros(block_rel.shape[0] * _BLOCK, dim).index_copy(0, slot, x)
    blocks = padded.view(-1, _BLOCK, dim)
    return torch.bmm(blocks, matrices[block_rel].transpose(1, 2)).view(-1, dim)[slot]
