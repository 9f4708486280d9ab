# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Training objectives with their derivatives, scores overwritten in place.

They give the values of `losses`, and of each score the derivative before the
temperature: d loss / d (score x temperature). A negative that does not count has
the score -inf, and derivative 0.

Letters in shapes: P chunks, C edges of a chunk, N negatives of a chunk.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from twhin.config.settings import Loss, LossKind

# (positives [P, C], negatives of each kind [P, C, N], weights [P, C], settings) ->
# the weighted sum, and its derivative by the positives' scores [P, C]; the
# negatives become their derivatives. All scores are divided by the temperature.
FusedLoss: TypeAlias = Callable[
    [Tensor, list[Tensor], Tensor, Loss], tuple[Tensor, Tensor]
]


def softmax_loss(
    positive: Tensor, scores: list[Tensor], weight: Tensor, settings: Loss
) -> tuple[Tensor, Tensor]:
    """See `losses.softmax_loss`."""
    top = _largest(scores, positive)
    share = torch.exp(positive - top)
    total = share.clone()
    for block in scores:
        total += block.sub_(top.unsqueeze(-1)).exp_().sum(-1)
    loss = (weight * (total.log() + top - positive)).sum()
    weight = weight / settings.temperature
    factor = weight / total
    for block in scores:
        block.mul_(factor.unsqueeze(-1))
    return loss, share * factor - weight


def logistic_loss(
    positive: Tensor, scores: list[Tensor], weight: Tensor, settings: Loss
) -> tuple[Tensor, Tensor]:
    """See `losses.logistic_loss`."""
    factor = settings.negative_weight * weight / _count(scores)
    loss = (weight * functional.softplus(-positive)).sum()
    for block in scores:
        loss += (factor * functional.softplus(block).sum(-1)).sum()
        block.sigmoid_().mul_((factor / settings.temperature).unsqueeze(-1))
    return loss, -weight * torch.sigmoid(-positive) / settings.temperature


def ranking_loss(
    positive: Tensor, scores: list[Tensor], weight: Tensor, settings: Loss
) -> tuple[Tensor, Tensor]:
    """See `losses.ranking_loss`."""
    factor = weight / _count(scores)
    threshold = (positive - settings.margin).unsqueeze(-1)
    loss, derivative = _hinge(scores, threshold, factor, settings)
    return loss, -derivative


def self_adversarial_loss(
    positive: Tensor, scores: list[Tensor], weight: Tensor, settings: Loss
) -> tuple[Tensor, Tensor]:
    """See `losses.self_adversarial_loss`."""
    steepness, margin = settings.adversarial_temperature, settings.margin
    lowest = torch.full_like(positive, torch.finfo(positive.dtype).min)
    top = _largest(scores, lowest).unsqueeze(-1)
    shares = [
        torch.exp(steepness * (block - top)).masked_fill_(block == -torch.inf, 0.0)
        for block in scores
    ]
    total = torch.stack([share.sum(-1) for share in shares]).sum(0)
    factor = weight / total.clamp_min(torch.finfo(total.dtype).tiny)
    loss = (weight * functional.softplus(-margin - positive)).sum()
    for block, share in zip(scores, shares, strict=True):
        share.mul_(factor.unsqueeze(-1))
        block.add_(margin)
        loss += (share * functional.softplus(block)).sum()
        block.sigmoid_().mul_(share).div_(settings.temperature)
    return loss, -weight * torch.sigmoid(-margin - positive) / settings.temperature


def cosine_contrastive_loss(
    positive: Tensor, scores: list[Tensor], weight: Tensor, settings: Loss
) -> tuple[Tensor, Tensor]:
    """See `losses.cosine_contrastive_loss`."""
    factor = settings.negative_weight * weight / _count(scores)
    loss, _ = _hinge(scores, settings.margin, factor, settings)
    return loss + (weight * (1.0 - positive)).sum(), -weight / settings.temperature


FUSED_LOSSES: Mapping[LossKind, FusedLoss] = {
    LossKind.SOFTMAX: softmax_loss,
    LossKind.LOGISTIC: logistic_loss,
    LossKind.RANKING: ranking_loss,
    LossKind.SELF_ADVERSARIAL: self_adversarial_loss,
    LossKind.COSINE_CONTRASTIVE: cosine_contrastive_loss,
}


def _hinge(
    scores: list[Tensor], threshold: Tensor | float, factor: Tensor, settings: Loss
) -> tuple[Tensor, Tensor]:
    """Sums factor x max(0, score - threshold) of all negatives.

    Args:
      scores: [P, C, N] each; become the derivatives.
      threshold: A number, or [P, C, 1].
      factor: [P, C].
      settings: Has the temperature.

    Returns:
      The sum, and each edge's sum of the derivatives, [P, C].
    """
    loss, derivative = factor.new_zeros(()), torch.zeros_like(factor)
    for block in scores:
        block.sub_(threshold).clamp_min_(0.0)
        loss += (factor * block.sum(-1)).sum()
        block.sign_().mul_((factor / settings.temperature).unsqueeze(-1))
        derivative += block.sum(-1)
    return loss, derivative


def _largest(scores: list[Tensor], at_least: Tensor) -> Tensor:
    """Returns the largest score of each edge, and `at_least`, [P, C]."""
    top = at_least
    for block in scores:
        if block.shape[-1]:
            top = torch.maximum(top, block.amax(-1))
    return top


def _count(scores: list[Tensor]) -> Tensor:
    """Returns how many negatives of each edge count, at least 1; [P, C]."""
    counts = [(block != -torch.inf).sum(-1) for block in scores]
    return torch.stack(counts).sum(0).clamp_min(1)
