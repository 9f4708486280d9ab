# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Loss and gradients of ranking one side, derived by hand.

Three batched matrix products a side: the scores of the negatives, and from
their coefficients the gradients of queries and negatives. Scores turn into
coefficients in place.

Letters in shapes: P chunks, C edges of a chunk, N negatives of a chunk, D
embedding dimension.
"""

import torch
from torch import Tensor

from twhin.config.settings import Loss
from twhin.model.fused_losses import FUSED_LOSSES
from twhin.model.products import Products
from twhin.model.side_part import Candidates, SidePart
from twhin.scoring import Comparator

# Cosine is a dot product of rows that the caller has normalised.
FUSED_COMPARATORS = (
    Comparator.DOT,
    Comparator.COSINE,
    Comparator.NEGATIVE_L2,
    Comparator.NEGATIVE_SQUARED_L2,
)
_MIN_SQUARED_DISTANCE = 1e-12


def compute_side(
    part: SidePart,
    candidates: list[Candidates],
    comparator: Comparator,
    settings: Loss,
    matmul_dtype: torch.dtype,
) -> Tensor:
    """Returns the weighted sum of the losses; writes all gradients.

    Args:
      part: Queries and positives.
      candidates: Kinds of negatives, each shared by a chunk.
      comparator: One of `FUSED_COMPARATORS`. For cosine all vectors have norm 1.
      settings: The objective.
      matmul_dtype: The type of the matrix products' inputs.
    """
    scale = 1.0 / settings.temperature
    scorer = _Scorer(part, comparator, scale, matmul_dtype)
    positive = scorer.positive_scores()
    scores = [scorer.scores(kind) for kind in candidates]
    for kind, block in zip(candidates, scores, strict=True):
        block.view(-1).index_fill_(0, kind.masked, -torch.inf)
    loss, coefficient = FUSED_LOSSES[settings.kind](
        positive, scores, part.weight, settings
    )
    scorer.write_gradients(coefficient, scores, candidates)
    return loss


class _Scorer:
    """Scores of a part, and the way of their gradients back to the vectors."""

    def __init__(
        self,
        part: SidePart,
        comparator: Comparator,
        scale: float,
        matmul_dtype: torch.dtype,
    ) -> None:
        self._part = part
        self._comparator = comparator
        self._scale = scale
        self._products = Products(part, matmul_dtype)
        self._distances: list[Tensor] = []
        self._is_distance = comparator not in (Comparator.DOT, Comparator.COSINE)
        self._difference = torch.empty(0)
        self._positive_distance = torch.empty(0)
        if self._is_distance:
            self._query_norms = part.queries.square().sum(-1, keepdim=True)

    def positive_scores(self) -> Tensor:
        """Returns [P, C], with bias and log q, scaled."""
        part = self._part
        if self._is_distance:
            self._difference = part.queries - part.positives
            squared = self._difference.square().sum(-1)
            scores = -squared
            if self._comparator is Comparator.NEGATIVE_L2:
                self._positive_distance = squared.clamp_min(
                    _MIN_SQUARED_DISTANCE
                ).sqrt()
                scores = -self._positive_distance
        else:
            scores = (part.queries * part.positives).sum(-1)
        if part.bias is not None:
            scores = scores + part.bias
        if part.log_q is not None:
            scores = scores - part.log_q
        return self._scaled(scores)

    def scores(self, kind: Candidates) -> Tensor:
        """Returns [P, C, N], with bias and log q, scaled."""
        scores = self._products.scores(kind)
        if self._is_distance:
            norms = kind.vectors.square().sum(-1).unsqueeze(1)
            scores.mul_(2.0).sub_(self._query_norms).sub_(norms).clamp_max_(0.0)
            if self._comparator is Comparator.NEGATIVE_L2:
                scores.neg_().clamp_min_(_MIN_SQUARED_DISTANCE).sqrt_()
                self._distances.append(scores.clone())
                scores.neg_()
        if self._part.bias is not None:
            scores += self._part.bias.unsqueeze(-1)
        if kind.log_q is not None:
            scores -= kind.log_q
        return self._scaled(scores)

    def write_gradients(
        self, positive: Tensor, coefficients: list[Tensor], kinds: list[Candidates]
    ) -> None:
        """Writes the gradients.

        Args:
          positive: [P, C], d loss / d score of the positives, before scaling.
          coefficients: [P, C, N] each, d loss / d score; overwritten.
          kinds: The negatives that they belong to.
        """
        part = self._part
        if part.bias_gradient is not None:
            total = positive + sum(c.sum(-1) for c in coefficients)
            part.bias_gradient.copy_(total)
        if not self._is_distance:
            factor = positive.unsqueeze(-1)
            torch.mul(factor, part.positives, out=part.query_gradient)
            torch.mul(factor, part.queries, out=part.positive_gradient)
        else:
            factor = -2.0 * positive
            if self._comparator is Comparator.NEGATIVE_L2:
                factor = -positive / self._positive_distance
            torch.mul(self._difference, factor.unsqueeze(-1), out=part.query_gradient)
            torch.neg(part.query_gradient, out=part.positive_gradient)
        for place, (kind, block) in enumerate(zip(kinds, coefficients, strict=True)):
            if self._is_distance and self._comparator is Comparator.NEGATIVE_L2:
                block.div_(self._distances[place])
            elif self._is_distance:
                block.mul_(2.0)
            self._products.flow_back(kind, block)
            if self._is_distance:
                self._flow_through_squares(kind, block)

    def _flow_through_squares(self, kind: Candidates, block: Tensor) -> None:
        """Adds what flows through |q|^2 and |n|^2 of -|q - n|^2 = 2 q n - ...

        Args:
          kind: The negatives n.
          block: [P, C, N], d loss / d products.
        """
        part = self._part
        part.query_gradient.addcmul_(
            block.sum(-1, keepdim=True), part.queries, value=-1.0
        )
        columns = block.sum(1).unsqueeze(-1)
        kind.gradient.addcmul_(columns, kind.vectors, value=-1.0)

    def _scaled(self, scores: Tensor) -> Tensor:
        return scores if self._scale == 1.0 else scores.mul_(self._scale)
