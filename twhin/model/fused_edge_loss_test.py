# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Compares the fused loss with the plain composition: value and gradients."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from twhin.config.settings import Comparator, Loss, LossKind, Operator, Precision
from twhin.model.edge_loss import EdgeLoss, edge_loss
from twhin.model.fused_edge_loss import fused_edge_loss, is_fused
from twhin.model.fused_side import FUSED_COMPARATORS
from twhin.model.relation_model import RelationModel
from twhin.testing.random_step import RandomStep

_OPERATORS = [Operator.TRANSLATION, Operator.DIAGONAL, Operator.TRANSLATION]


def _settings(kind: LossKind, temperature: float = 0.7, l2: float = 0.0) -> Loss:
    return Loss(
        kind=kind,
        temperature=temperature,
        margin=0.1,
        adversarial_temperature=1.0,
        negative_weight=1.5,
        lhs_weight=0.5,
        rhs_weight=2.0,
        l2=l2,
        n3=l2 / 2,
    )


def _model(
    comparator: Comparator, reciprocal: bool, operators: list[Operator] | None = None
) -> RelationModel:
    model = RelationModel(
        operators=operators or _OPERATORS,
        embedding_dim=4,
        comparator=comparator,
        reciprocal=reciprocal,
    ).double()
    generator = torch.Generator().manual_seed(1)
    for parameters in model.parameters():
        noise = torch.randn(parameters.shape, generator=generator).double()
        parameters.data += 0.3 * noise
    return model


def _gradients(loss: EdgeLoss, step: RandomStep, model: RelationModel) -> list[Tensor]:
    inputs = [*step.rows.values(), *model.parameters()]
    return list(torch.autograd.grad(loss.total, inputs))


def _check_equal(step: RandomStep, model: RelationModel, settings: Loss) -> None:
    plain = edge_loss(step.rows, step.groups, model, settings)
    fused = fused_edge_loss(step.rows, step.groups, model, settings)

    for name in ("total", "lhs", "rhs"):
        torch.testing.assert_close(getattr(fused, name), getattr(plain, name))
    expected = _gradients(plain, step, model)
    for ours, theirs in zip(_gradients(fused, step, model), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("kind", LossKind)
@pytest.mark.parametrize("comparator", FUSED_COMPARATORS)
@pytest.mark.parametrize(
    ("num_negatives", "in_batch"), [(5, False), (5, True), (0, True)]
)
def test_fused_equals_plain(
    kind: LossKind, comparator: Comparator, num_negatives: int, in_batch: bool
) -> None:
    step = RandomStep(
        num_edges=10, chunk_size=4, num_negatives=num_negatives, in_batch=in_batch
    )

    _check_equal(step, _model(comparator, reciprocal=True), _settings(kind))


@pytest.mark.parametrize("kind", LossKind)
@pytest.mark.parametrize("comparator", FUSED_COMPARATORS)
def test_fused_equals_plain_where_all_entities_are_negatives(
    kind: LossKind, comparator: Comparator
) -> None:
    step = RandomStep(
        num_edges=10, chunk_size=4, num_negatives=6, in_batch=False, shared=True
    )

    _check_equal(step, _model(comparator, reciprocal=True), _settings(kind))


@pytest.mark.parametrize("num_edges", [1, 3, 4, 8])
def test_fused_equals_plain_with_log_q_and_penalties(num_edges: int) -> None:
    step = RandomStep(
        num_edges=num_edges, chunk_size=4, num_negatives=3, in_batch=True, log_q=True
    )

    _check_equal(
        step,
        _model(Comparator.DOT, reciprocal=True),
        _settings(LossKind.SOFTMAX, l2=0.1),
    )


@pytest.mark.parametrize("kind", LossKind)
def test_fused_equals_plain_with_the_bias_of_a_transposed_translation(
    kind: LossKind,
) -> None:
    step = RandomStep(num_edges=10, chunk_size=4, num_negatives=5, in_batch=True)

    _check_equal(step, _model(Comparator.DOT, reciprocal=False), _settings(kind))


@pytest.mark.parametrize(("lhs", "rhs"), [(0.0, 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("shared", [False, True])
def test_a_side_without_weight_is_left_out(
    lhs: float, rhs: float, shared: bool
) -> None:
    step = RandomStep(
        num_edges=9, chunk_size=4, num_negatives=5, in_batch=False, shared=shared
    )
    settings = replace(_settings(LossKind.SOFTMAX), lhs_weight=lhs, rhs_weight=rhs)

    _check_equal(step, _model(Comparator.COSINE, reciprocal=True), settings)


def test_gradients_are_those_of_finite_differences() -> None:
    step = RandomStep(num_edges=3, chunk_size=2, num_negatives=2, in_batch=True)
    model = _model(Comparator.NEGATIVE_L2, reciprocal=True)
    names = list(step.rows)

    def total(*rows: Tensor) -> Tensor:
        named = dict(zip(names, rows, strict=True))
        settings = _settings(LossKind.SOFTMAX)
        return fused_edge_loss(named, step.groups, model, settings).total

    assert torch.autograd.gradcheck(total, tuple(step.rows.values()))


@pytest.mark.parametrize("loss", [edge_loss, fused_edge_loss])
def test_no_edges_give_a_zero_loss_that_can_run_backward(loss: "object") -> None:
    rows = {"a": torch.zeros(0, 4, dtype=torch.float64, requires_grad=True)}
    model = _model(Comparator.DOT, reciprocal=True)

    result = loss(rows, [], model, _settings(LossKind.SOFTMAX))  # type: ignore[operator]
    result.total.backward()

    assert float(result.total.detach()) == 0.0
    assert rows["a"].grad is not None


def test_bfloat16_products_stay_close() -> None:
    step = RandomStep(
        num_edges=64,
        chunk_size=16,
        num_negatives=32,
        in_batch=False,
        dim=32,
        dtype=torch.float32,
    )
    model = RelationModel(
        operators=_OPERATORS,
        embedding_dim=32,
        comparator=Comparator.DOT,
        reciprocal=True,
    )
    settings = _settings(LossKind.SOFTMAX)

    exact = fused_edge_loss(step.rows, step.groups, model, settings)
    rounded = fused_edge_loss(
        step.rows, step.groups, model, settings, Precision.BFLOAT16
    )

    assert float(rounded.total.detach()) != float(exact.total.detach())
    torch.testing.assert_close(rounded.total, exact.total, rtol=0.01, atol=0.0)


def test_an_edge_whose_negatives_are_all_masked_keeps_the_positive() -> None:
    for kind in LossKind:
        step = RandomStep(num_edges=1, chunk_size=4, num_negatives=0, in_batch=True)

        _check_equal(step, _model(Comparator.COSINE, reciprocal=True), _settings(kind))


def test_is_fused_says_what_is_served() -> None:
    served = {comparator for comparator in Comparator if is_fused(comparator)}

    assert served == set(FUSED_COMPARATORS)
