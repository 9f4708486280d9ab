# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of losses."""

import dataclasses
import math

import pytest
import torch

from twhin.config.settings import LossKind
from twhin.model.losses import make_loss
from twhin.testing.step_settings import make_loss_settings

_SETTINGS = make_loss_settings(margin=0.5, negative_weight=2.0)


def _softplus(x: float) -> float:
    return math.log1p(math.exp(x))


# The loss of one edge with p = 1, n = [0, 2], margin .5, negative weight 2.
_EXPECTED = {
    LossKind.LOGISTIC: _softplus(-1.0) + 2.0 * (_softplus(0.0) + _softplus(2.0)) / 2,
    LossKind.SOFTMAX: math.log(math.e + 1.0 + math.e**2) - 1.0,
    # max(0, .5 - 1 + 0) = 0 and max(0, .5 - 1 + 2) = 1.5.
    LossKind.RANKING: 0.75,
    LossKind.SELF_ADVERSARIAL: _softplus(-1.5)
    + (_softplus(0.5) + math.e**2 * _softplus(2.5)) / (1.0 + math.e**2),
    # (1 - 1) + 2 mean(0, 1.5).
    LossKind.COSINE_CONTRASTIVE: 1.5,
}


def test_every_loss_has_a_case_here() -> None:
    assert set(_EXPECTED) == set(LossKind)


@pytest.mark.parametrize("kind", LossKind)
def test_values_match_those_computed_by_hand(kind: LossKind) -> None:
    loss = make_loss(dataclasses.replace(_SETTINGS, kind=kind))
    negatives = torch.tensor([[0.0, 2.0]])

    value = loss(torch.tensor([1.0]), negatives, torch.ones(1, 2, dtype=torch.bool))

    assert float(value) == pytest.approx(_EXPECTED[kind], rel=1e-6)


@pytest.mark.parametrize("kind", LossKind)
def test_masked_negatives_do_not_count(kind: LossKind) -> None:
    loss = make_loss(dataclasses.replace(_SETTINGS, kind=kind))
    negatives = torch.tensor([[0.0, 50.0, 2.0]], requires_grad=True)

    value = loss(torch.tensor([1.0]), negatives, torch.tensor([[True, False, True]]))
    value.sum().backward()  # type: ignore[no-untyped-call]

    assert float(value.detach()) == pytest.approx(_EXPECTED[kind], rel=1e-6)
    assert negatives.grad is not None
    assert float(negatives.grad[0, 1]) == 0.0


@pytest.mark.parametrize("kind", LossKind)
@pytest.mark.parametrize("count", [0, 2])
def test_edge_without_valid_negatives_has_a_finite_gradient(
    kind: LossKind, count: int
) -> None:
    loss = make_loss(dataclasses.replace(_SETTINGS, kind=kind))
    positives = torch.tensor([1.0], requires_grad=True)
    negatives = torch.zeros(1, count, requires_grad=True)

    loss(positives, negatives, torch.zeros(1, count, dtype=torch.bool)).sum().backward()  # type: ignore[no-untyped-call]

    assert positives.grad is not None
    assert bool(torch.isfinite(positives.grad).all())
    assert negatives.grad is not None
    assert bool((negatives.grad == 0.0).all())


@pytest.mark.parametrize("kind", LossKind)
def test_temperature_divides_scores(kind: LossKind) -> None:
    halved = make_loss(dataclasses.replace(_SETTINGS, kind=kind, temperature=2.0))
    plain = make_loss(dataclasses.replace(_SETTINGS, kind=kind))
    positives, negatives = torch.tensor([1.0]), torch.tensor([[0.0, 2.0]])
    valid = torch.ones(1, 2, dtype=torch.bool)

    value = halved(positives, negatives, valid)

    torch.testing.assert_close(value, plain(positives / 2, negatives / 2, valid))
