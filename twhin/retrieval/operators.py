# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The operators of relations, for one relation at a time, in numpy.

Letters in shapes: n vectors, P parameters of the relation, D embedding dimension.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twhin.scoring import Comparator, Operator

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What candidates are compared with.

    Attributes:
      vectors: float32 [n, D].
      bias: float32 [n], added to the scores of all candidates; None for 0.
      is_related: Whether the vectors come through a relation.
    """

    vectors: Floats
    bias: Floats | None = None
    is_related: bool = False


def apply(operator: Operator, x: Floats, parameters: Floats) -> Floats:
    """Returns operator(x); float32 [n, D].

    Args:
      operator: The operator.
      x: float32 [n, D].
      parameters: float32 [P].
    """
    dim = x.shape[1]
    match operator:
        case Operator.IDENTITY:
            return x
        case Operator.TRANSLATION:
            return x + parameters
        case Operator.DIAGONAL:
            return x * parameters
        case Operator.COMPLEX_DIAGONAL:
            half = dim // 2
            return _multiply_complex(x, parameters[:half], parameters[half:])
        case Operator.ROTATION:
            return _multiply_complex(x, np.cos(parameters), np.sin(parameters))
        case Operator.LINEAR:
            return x @ parameters.reshape(dim, dim).T
        case Operator.AFFINE:
            matrix = parameters[: dim * dim].reshape(dim, dim)
            return x @ matrix.T + parameters[dim * dim :]


def transpose(
    operator: Operator, x: Floats, parameters: Floats, comparator: Comparator
) -> Query:
    """Returns q, b with compare(operator(y), x) = compare(q, y) + b for all y.

    Args:
      operator: The operator.
      x: float32 [n, D].
      parameters: float32 [P].
      comparator: One of those for which `scoring.has_transpose` is true.
    """
    dim = x.shape[1]
    match operator:
        case Operator.IDENTITY:
            return Query(vectors=x)
        case Operator.TRANSLATION if comparator is Comparator.DOT:
            return Query(vectors=x, bias=x @ parameters)
        case Operator.TRANSLATION:
            return Query(vectors=x - parameters)
        case Operator.DIAGONAL:
            return Query(vectors=x * parameters)
        case Operator.COMPLEX_DIAGONAL:
            half = dim // 2
            return Query(
                vectors=_multiply_complex(x, parameters[:half], -parameters[half:])
            )
        case Operator.ROTATION:
            return Query(
                vectors=_multiply_complex(x, np.cos(parameters), -np.sin(parameters))
            )
        case Operator.LINEAR:
            return Query(vectors=x @ parameters.reshape(dim, dim))
        case Operator.AFFINE:
            matrix = parameters[: dim * dim].reshape(dim, dim)
            return Query(vectors=x @ matrix, bias=x @ parameters[dim * dim :])


def _multiply_complex(x: Floats, real: Floats, imaginary: Floats) -> Floats:
    """Returns [n, D]: x [n, D] times complex numbers of [D/2] parts."""
    half = x.shape[1] // 2
    x_real, x_imaginary = x[:, :half], x[:, half:]
    return np.concatenate(
        (
            x_real * real - x_imaginary * imaginary,
            x_real * imaginary + x_imaginary * real,
        ),
        axis=1,
    )
