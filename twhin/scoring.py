# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The choices that make up the score of an edge, wherever one is computed.

An edge scores compare(operator(lhs), rhs).
"""

from enum import StrEnum


class Operator(StrEnum):
    """`twhin.v1.Operator`."""

    IDENTITY = "identity"
    TRANSLATION = "translation"
    DIAGONAL = "diagonal"
    COMPLEX_DIAGONAL = "complex_diagonal"
    ROTATION = "rotation"
    LINEAR = "linear"
    AFFINE = "affine"


class Comparator(StrEnum):
    """`twhin.v1.Comparator`."""

    DOT = "dot"
    COSINE = "cosine"
    NEGATIVE_L2 = "negative_l2"
    NEGATIVE_SQUARED_L2 = "negative_squared_l2"
    NEGATIVE_L1 = "negative_l1"


def num_parameters(operator: Operator, dim: int) -> int:
    """Returns the parameters of a relation with embeddings of `dim` numbers."""
    match operator:
        case Operator.IDENTITY:
            return 0
        case Operator.TRANSLATION | Operator.DIAGONAL | Operator.COMPLEX_DIAGONAL:
            return dim
        case Operator.ROTATION:
            return dim // 2
        case Operator.LINEAR:
            return dim * dim
        case Operator.AFFINE:
            return dim * dim + dim


def has_transpose(operator: Operator, comparator: Comparator) -> bool:
    """Returns whether the lhs can be ranked by the parameters that rank the rhs.

    It can where compare(operator(lhs), rhs) is compare(lhs, q) plus a constant, with
    a q and a constant that depend on the rhs alone.
    """
    match operator:
        case Operator.IDENTITY:
            return True
        case Operator.TRANSLATION:
            return comparator is not Comparator.COSINE
        case Operator.ROTATION:
            return comparator is not Comparator.NEGATIVE_L1
        case _:
            return comparator is Comparator.DOT
