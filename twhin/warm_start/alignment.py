# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""How far a trained model moved from the earlier one, and turning it back."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from twhin.scoring import Operator
from twhin.warm_start.earlier_model import EarlierModel
from twhin.warm_start.join import JoinedPart
from twhin.warm_start.kept_rows import visit_kept_rows
from twhin.warm_start.ranks import Ranks

_QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)
_NUM_BINS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """What downstream users of the vectors want to know.

    Attributes:
      metrics: `alignment/TYPE/cosine_p50`: quantiles, over the kept entities of a
        type, of the cosine of a row to its earlier vector, within 0.0001;
        `alignment/similarity`: the sum of their inner products over the product of
        the norms of all rows, in [-1, 1]; `alignment/similarity_rotated`: the same
        after the best rotation; `alignment/rotation_degrees`: the root mean square
        of the angles by which that turns.
      rotation: [D, D] float64, orthogonal: row @ rotation is closest to the
        earlier vectors. None where tables are divided by columns.
    """

    metrics: dict[str, float]
    rotation: Tensor | None


def measure_alignment(
    source: EarlierModel,
    joined: Sequence[JoinedPart],
    entity_types: Sequence[str],
    ranks: Ranks,
) -> Alignment:
    """Compares kept rows with their earlier vectors; a collective.

    The earlier vectors are read again, in blocks.

    Args:
      source: The earlier model.
      joined: This rank's rows, as they are now.
      entity_types: The names of all entity types.
      ranks: All ranks.
    """
    dim = source.embedding_dim
    histograms = torch.zeros(len(entity_types), _NUM_BINS + 1, dtype=torch.int64)
    products = torch.zeros(dim, dim, dtype=torch.float64)
    squares = torch.zeros(3, dtype=torch.float64)
    for one in joined:
        if one.part.rows.shape[1] != dim:
            squares[2] = 1.0
            continue
        place = entity_types.index(one.entity_type)
        for places, earlier in visit_kept_rows(source, one):
            # Single precision within a block, double over blocks.
            before, now = earlier.float(), one.part.rows[places].float()
            cosines = torch.cosine_similarity(before, now, dim=1).clamp(-1, 1)
            bins = ((cosines + 1) / 2 * _NUM_BINS).round().long().cpu()
            histograms[place] += torch.bincount(bins, minlength=_NUM_BINS + 1)
            products += (now.T @ before).double().cpu()
            squares[0] += before.square().sum().double().cpu()
            squares[1] += now.square().sum().double().cpu()
    for tensor in (histograms, products, squares):
        ranks.sum_over_ranks(tensor)
    if squares[2]:
        return Alignment(metrics={}, rotation=None)
    metrics = {
        f"alignment/{name}/cosine_p{100 * quantile:g}": value
        for name, histogram in zip(entity_types, histograms, strict=True)
        if histogram.sum()
        for quantile, value in _quantiles(histogram).items()
    }
    if not histograms.sum():
        return Alignment(metrics={}, rotation=torch.eye(dim, dtype=torch.float64))
    rotation = best_rotation(products)
    norm = float(squares[:2].prod().sqrt().clamp_min(1e-300))
    metrics["alignment/similarity"] = float(products.trace()) / norm
    metrics["alignment/similarity_rotated"] = float((rotation * products).sum()) / norm
    metrics["alignment/rotation_degrees"] = rotation_degrees(rotation)
    return Alignment(metrics=metrics, rotation=rotation)


def best_rotation(products: Tensor) -> Tensor:
    """Solves the orthogonal Procrustes problem.

    Args:
      products: [D, D] float64, now.T @ before, summed over rows.

    Returns:
      The orthogonal R for which the sum of |row R - before|^2 is smallest.

    Reference: Schoenemann, "A generalized solution of the orthogonal Procrustes
    problem", Psychometrika 1966.
    """
    left, _, right = torch.linalg.svd(products)
    rotation: Tensor = left @ right
    return rotation


def rotation_degrees(rotation: Tensor) -> float:
    """Returns the root mean square of the angles of an orthogonal matrix."""
    angles = torch.linalg.eigvals(rotation).angle()
    return float(angles.square().mean().sqrt().rad2deg())


def rotate_parameters(
    operator: Operator, parameters: Tensor, rotation: Tensor
) -> Tensor:
    """Returns the parameters with which rotated vectors score as before.

    For rows x R: a translation r becomes r R; a matrix A becomes R^T A R.

    Args:
      operator: The operator.
      parameters: [R, P] float32.
      rotation: [D, D] float64, orthogonal.

    Raises:
      ValueError: The operator is none of `ROTATED_OPERATORS`.
    """
    dim = rotation.shape[0]
    wide = parameters.double()
    match operator:
        case Operator.IDENTITY:
            return parameters
        case Operator.TRANSLATION:
            return (wide @ rotation).to(parameters.dtype)
        case Operator.LINEAR:
            matrices = wide.view(-1, dim, dim)
            rotated = (rotation.T @ matrices @ rotation).flatten(1)
        case Operator.AFFINE:
            matrices = wide[:, : dim * dim].view(-1, dim, dim)
            rotated = torch.cat(
                (
                    (rotation.T @ matrices @ rotation).flatten(1),
                    wide[:, dim * dim :] @ rotation,
                ),
                dim=1,
            )
        case _:
            raise ValueError(f"{operator!r} treats dimensions one by one")
    return rotated.to(parameters.dtype)


def _quantiles(histogram: Tensor) -> dict[float, float]:
    """Returns quantiles of cosines from [bins] int64."""
    below = histogram.cumsum(0)
    return {
        quantile: int(torch.searchsorted(below, quantile * float(below[-1])))
        / _NUM_BINS
        * 2
        - 1
        for quantile in _QUANTILES
    }
