# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Operators of embeddings as complex numbers: the real parts, then the imaginary ones.

Letters in shapes: B edges, R relations, P parameters of a relation, D embedding
dimension.
"""

import math

import torch
from torch import Tensor

from twhin.model.relation_operator import Query, RelationOperator, of_edges, repeated
from twhin.scoring import Comparator

_INIT_SCALE = 0.1
_MIN_SQUARED_MODULUS = 1e-24


class ComplexDiagonalOperator(RelationOperator):
    """x * r as D/2 complex numbers, r normally distributed at first.

    The first D/2 elements are the real parts. Compared by a dot product this is
    Re <x, r, conj(t)>. From r = 1 all relations would first learn what they have in
    common, and end with vectors that tell them apart less well.

    Reference: Trouillon et al., "Complex Embeddings for Simple Link Prediction"
    (ComplEx), arXiv 1606.06357.
    """

    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """Normal, with a standard deviation of 0.1."""
        parameters.normal_(0.0, _INIT_SCALE, generator=generator)

    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """See `RelationOperator`."""
        real, imaginary = of_edges(parameters, rel).chunk(2, -1)
        return _multiply_complex(x, real, imaginary)

    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """The adjoint of a complex product is the product with the conjugate."""
        real, imaginary = of_edges(parameters, rel).chunk(2, -1)
        return Query(vectors=_multiply_complex(x, real, -imaginary))

    def products(self, x: Tensor, y: Tensor, parameters: Tensor) -> Tensor:
        """Re (conj(x) y) conj(r)."""
        return _conjugate_products(x, y) @ parameters.T

    def squared_norms(self, x: Tensor, parameters: Tensor) -> Tensor:
        """|x|^2 . |r|^2, of moduli."""
        return _complex_moduli(x).square() @ _complex_moduli(parameters).square().T

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

    def initialize(self, parameters: Tensor, generator: torch.Generator) -> None:
        """Uniform in [-pi, pi)."""
        parameters.uniform_(-math.pi, math.pi, generator=generator)

    def apply(self, x: Tensor, parameters: Tensor, rel: Tensor) -> Tensor:
        """See `RelationOperator`."""
        angles = of_edges(parameters, rel)
        return _multiply_complex(x, angles.cos(), angles.sin())

    def transpose(
        self, x: Tensor, parameters: Tensor, rel: Tensor, comparator: Comparator
    ) -> Query:
        """The rotation back; a rotation keeps norms and dot products."""
        angles = of_edges(parameters, rel)
        return Query(vectors=_multiply_complex(x, angles.cos(), -angles.sin()))

    def products(self, x: Tensor, y: Tensor, parameters: Tensor) -> Tensor:
        """Re (conj(x) y) conj(r)."""
        turns = torch.cat((parameters.cos(), parameters.sin()), dim=-1)
        return _conjugate_products(x, y) @ turns.T

    def squared_norms(self, x: Tensor, parameters: Tensor) -> Tensor:
        """|x|^2."""
        return repeated(x.square().sum(-1), parameters)

    def moduli(self, x: Tensor) -> Tensor:
        """See `RelationOperator`."""
        return _complex_moduli(x)

    def parameter_moduli(self, parameters: Tensor) -> Tensor:
        """None: a rotation has modulus 1 whatever the angle."""
        return parameters[:, :0]


def _conjugate_products(x: Tensor, y: Tensor) -> Tensor:
    """Returns conj(x) y, [B, D], of D/2 complex numbers each."""
    real, imaginary = x.chunk(2, -1)
    return _multiply_complex(y, real, -imaginary)


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
