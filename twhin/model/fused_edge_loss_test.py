# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Compares the fused loss with the plain composition: value and gradients."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from twhin.config.settings import LossKind, Precision
from twhin.model.edge_loss import edge_loss
from twhin.model.fused_edge_loss import fused_edge_loss, is_fused
from twhin.model.fused_side import FUSED_COMPARATORS
from twhin.scoring import Comparator
from twhin.testing.loss_check import check_equal, make_model
from twhin.testing.random_step import RandomStep
from twhin.testing.step_settings import make_loss_settings

_SETTINGS = make_loss_settings(
    temperature=0.7, margin=0.1, negative_weight=1.5, lhs_weight=0.5, rhs_weight=2.0
)


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

    check_equal(step, make_model(comparator), replace(_SETTINGS, kind=kind))


@pytest.mark.parametrize("kind", LossKind)
@pytest.mark.parametrize("comparator", FUSED_COMPARATORS)
def test_fused_equals_plain_where_all_entities_are_negatives(
    kind: LossKind, comparator: Comparator
) -> None:
    step = RandomStep(
        num_edges=10, chunk_size=4, num_negatives=6, in_batch=False, shared=True
    )

    check_equal(step, make_model(comparator), replace(_SETTINGS, kind=kind))


@pytest.mark.parametrize("num_edges", [1, 3, 4, 8])
def test_fused_equals_plain_with_log_q_and_penalties(num_edges: int) -> None:
    step = RandomStep(
        num_edges=num_edges, chunk_size=4, num_negatives=3, in_batch=True, log_q=True
    )

    check_equal(
        step,
        make_model(Comparator.DOT),
        replace(_SETTINGS, l2=0.1, n3=0.05),
    )


@pytest.mark.parametrize("kind", LossKind)
def test_fused_equals_plain_with_the_bias_of_a_transposed_translation(
    kind: LossKind,
) -> None:
    step = RandomStep(num_edges=10, chunk_size=4, num_negatives=5, in_batch=True)

    check_equal(
        step,
        make_model(Comparator.DOT, reciprocal=False),
        replace(_SETTINGS, kind=kind),
    )


@pytest.mark.parametrize(("lhs", "rhs"), [(0.0, 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("shared", [False, True])
def test_a_side_without_weight_is_left_out(
    lhs: float, rhs: float, shared: bool
) -> None:
    step = RandomStep(
        num_edges=9, chunk_size=4, num_negatives=5, in_batch=False, shared=shared
    )
    settings = replace(_SETTINGS, lhs_weight=lhs, rhs_weight=rhs)

    check_equal(step, make_model(Comparator.COSINE), settings)


def test_gradients_are_those_of_finite_differences() -> None:
    step = RandomStep(num_edges=3, chunk_size=2, num_negatives=2, in_batch=True)
    model = make_model(Comparator.NEGATIVE_L2)
    names = list(step.rows)

    def total(*rows: Tensor) -> Tensor:
        named = dict(zip(names, rows, strict=True))
        return fused_edge_loss(named, step.groups, model, _SETTINGS).total

    assert torch.autograd.gradcheck(total, tuple(step.rows.values()))


@pytest.mark.parametrize("loss", [edge_loss, fused_edge_loss])
def test_no_edges_give_a_zero_loss_that_can_run_backward(loss: "object") -> None:
    rows = {"a": torch.zeros(0, 4, dtype=torch.float64, requires_grad=True)}
    model = make_model(Comparator.DOT)

    result = loss(rows, [], model, _SETTINGS)  # type: ignore[operator]
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
    model = make_model(Comparator.DOT, dim=32, dtype=torch.float32)

    exact = fused_edge_loss(step.rows, step.groups, model, _SETTINGS)
    rounded = fused_edge_loss(
        step.rows, step.groups, model, _SETTINGS, Precision.BFLOAT16
    )

    assert float(rounded.total.detach()) != float(exact.total.detach())
    torch.testing.assert_close(rounded.total, exact.total, rtol=0.01, atol=0.0)


def test_an_edge_whose_negatives_are_all_masked_keeps_the_positive() -> None:
    for kind in LossKind:
        step = RandomStep(num_edges=1, chunk_size=4, num_negatives=0, in_batch=True)

        check_equal(step, make_model(Comparator.COSINE), replace(_SETTINGS, kind=kind))


def test_is_fused_says_what_is_served() -> None:
    served = {comparator for comparator in Comparator if is_fused(comparator)}

    assert served == set(FUSED_COMPARATORS)
