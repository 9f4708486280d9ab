# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Training objectives for one side of edges.

Letters in shapes: B edges, K candidates that replace the edge's entity; "..."
stands for any number of leading dimensions. p is the score of the positive, n_j
that of its j-th negative, J the number of negatives that are not masked.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from twhin.config.settings import Loss, LossKind

# (positives [..., B], negatives [..., B, K], valid [..., B, K] bool) -> [..., B]
LossFunction: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]


def make_loss(settings: Loss) -> LossFunction:
    """Returns the function that gives each edge's loss on one side.

    Scores are divided by the temperature first. A negative that is not valid
    does not count; an edge without valid negatives keeps the positive's part.
    """
    kinds: dict[LossKind, Callable[[Tensor, Tensor, Tensor, Loss], Tensor]] = {
        LossKind.LOGISTIC: logistic_loss,
        LossKind.SOFTMAX: softmax_loss,
        LossKind.RANKING: ranking_loss,
        LossKind.SELF_ADVERSARIAL: self_adversarial_loss,
        LossKind.COSINE_CONTRASTIVE: cosine_contrastive_loss,
    }
    kind = kinds[settings.kind]

    def loss(positives: Tensor, negatives: Tensor, valid: Tensor) -> Tensor:
        scale = 1.0 / settings.temperature
        return kind(positives * scale, negatives * scale, valid, settings)

    return loss


def logistic_loss(
    positives: Tensor, negatives: Tensor, valid: Tensor, settings: Loss
) -> Tensor:
    """softplus(-p) + w mean_j softplus(n_j), w the negative weight.

    Reference: TwHIN (arXiv 2202.05387), equation 3, with negatives averaged.
    """
    mean = _mean(functional.softplus(negatives), valid)
    return functional.softplus(-positives) + settings.negative_weight * mean


def softmax_loss(
    positives: Tensor, negatives: Tensor, valid: Tensor, settings: Loss
) -> Tensor:
    """-log(exp(p) / (exp(p) + sum_j exp(n_j)))."""
    masked = negatives.masked_fill(~valid, -torch.inf)
    scores = torch.cat((positives.unsqueeze(-1), masked), dim=-1)
    return torch.logsumexp(scores, dim=-1) - positives


def ranking_loss(
    positives: Tensor, negatives: Tensor, valid: Tensor, settings: Loss
) -> Tensor:
    """mean_j max(0, margin - p + n_j)."""
    return _mean(
        (settings.margin - positives.unsqueeze(-1) + negatives).clamp_min(0.0), valid
    )


def self_adversarial_loss(
    positives: Tensor, negatives: Tensor, valid: Tensor, settings: Loss
) -> Tensor:
    """softplus(-m - p) + sum_j softmax(a n)_j softplus(n_j + m).

    m is the margin, a the adversarial temperature; no gradient flows through
    the weights.

    Reference: Sun et al. (RotatE), arXiv 1902.10197, equation 5.
    """
    logits = settings.adversarial_temperature * negatives.detach()
    weights = torch.softmax(logits.masked_fill(~valid, -torch.inf), dim=-1)
    # A row without valid negatives has no weights.
    weights = torch.where(valid, weights, 0.0)
    terms = weights * functional.softplus(negatives + settings.margin)
    return functional.softplus(-settings.margin - positives) + terms.sum(-1)


def cosine_contrastive_loss(
    positives: Tensor, negatives: Tensor, valid: Tensor, settings: Loss
) -> Tensor:
    """(1 - p) + w mean_j max(0, n_j - m), m the margin, w the negative weight.

    Reference: Mao et al., "SimpleX: A Simple and Strong Baseline for
    Collaborative Filtering", arXiv 2109.12613, equation 4.
    """
    mean = _mean((negatives - settings.margin).clamp_min(0.0), valid)
    return (1.0 - positives) + settings.negative_weight * mean


def _mean(terms: Tensor, valid: Tensor) -> Tensor:
    """Returns the mean over valid terms of the last dimension, 0 without any."""
    total = torch.where(valid, terms, 0.0).sum(-1)
    return total / valid.sum(-1).clamp_min(1)
