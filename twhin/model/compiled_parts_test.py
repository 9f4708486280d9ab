# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Compares compiled loops with the plain composition, for several threads."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch

from twhin.config.settings import Loss, LossKind, Precision
from twhin.cpu import threads
from twhin.model.compiled_arrays import step_chunks
from twhin.model.compiled_parts import is_compiled
from twhin.model.fused_edge_loss import fused_edge_loss
from twhin.model.relation_model import RelationModel
from twhin.scoring import Comparator, Operator
from twhin.testing.loss_check import check_equal, make_model
from twhin.testing.random_step import RandomStep
from twhin.testing.step_settings import make_loss_settings
from twhin.testing.torch_threads import torch_threads

_COMPARATORS = (Comparator.DOT, Comparator.COSINE)
_SHIFTS = (Operator.TRANSLATION, Operator.IDENTITY, Operator.TRANSLATION)
_OPERATORS = (
    _SHIFTS,
    (Operator.IDENTITY,) * 3,
    (Operator.TRANSLATION, Operator.DIAGONAL, Operator.TRANSLATION),
)
_SETTINGS = make_loss_settings(temperature=0.5, lhs_weight=0.5, rhs_weight=2.0)
_model = functools.partial(make_model, dtype=torch.float32)
_step = functools.partial(
    RandomStep, chunk_size=4, num_negatives=5, dtype=torch.float32
)


@pytest.fixture(params=[1, 3], autouse=True)
def num_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Gives a step one thread, or several."""
    with torch_threads(request.param), threads.taken_over():
        yield


def _check_equal(
    step: RandomStep, model: RelationModel, settings: Loss, atol: float = 1e-5
) -> None:
    (rows, *_) = step.rows.values()
    assert is_compiled(model.comparator_kind, settings, rows, torch.float32)
    check_equal(step, model, settings, value=1e-5, rtol=1e-4, atol=atol)


@pytest.mark.parametrize("operators", _OPERATORS)
@pytest.mark.parametrize("comparator", _COMPARATORS)
@pytest.mark.parametrize("log_q", [False, True])
@pytest.mark.parametrize(
    ("num_negatives", "in_batch"), [(5, False), (37, True), (0, True)]
)
def test_compiled_equals_plain(
    operators: Sequence[Operator],
    comparator: Comparator,
    log_q: bool,
    num_negatives: int,
    in_batch: bool,
) -> None:
    step = RandomStep(
        num_edges=10,
        chunk_size=4,
        num_negatives=num_negatives,
        in_batch=in_batch,
        log_q=log_q,
        dtype=torch.float32,
    )

    _check_equal(step, _model(comparator, operators), _SETTINGS)


@pytest.mark.parametrize("operators", _OPERATORS)
@pytest.mark.parametrize("comparator", _COMPARATORS)
def test_compiled_equals_plain_where_all_entities_are_negatives(
    operators: Sequence[Operator], comparator: Comparator
) -> None:
    step = RandomStep(
        num_edges=10,
        chunk_size=4,
        num_negatives=6,
        in_batch=False,
        shared=True,
        dtype=torch.float32,
    )

    _check_equal(step, _model(comparator, operators), _SETTINGS)


@pytest.mark.parametrize("operators", _OPERATORS)
def test_compiled_equals_plain_with_the_bias_of_a_transposed_translation(
    operators: Sequence[Operator],
) -> None:
    step = _step(num_edges=9, in_batch=True)

    _check_equal(step, _model(Comparator.DOT, operators, reciprocal=False), _SETTINGS)


def test_compiled_equals_plain_with_penalties() -> None:
    step = _step(num_edges=9, in_batch=True)

    settings = replace(_SETTINGS, l2=0.01, n3=0.02, dura=0.03)
    _check_equal(step, _model(Comparator.DOT), settings)


def test_chunks_of_more_edges_than_are_taken_at_a_time() -> None:
    step = RandomStep(
        num_edges=1500,
        chunk_size=1300,
        num_negatives=7,
        in_batch=False,
        log_q=True,
        dtype=torch.float32,
    )

    _check_equal(step, _model(Comparator.COSINE, _SHIFTS), _SETTINGS, 1e-4)


@pytest.mark.parametrize("operators", _OPERATORS)
@pytest.mark.parametrize(("lhs", "rhs"), [(0.0, 1.0), (1.0, 0.0)])
def test_a_side_without_weight_is_left_out(
    operators: Sequence[Operator], lhs: float, rhs: float
) -> None:
    step = _step(num_edges=9, in_batch=True)

    _check_equal(
        step,
        _model(Comparator.COSINE, operators),
        replace(_SETTINGS, lhs_weight=lhs, rhs_weight=rhs),
    )


def test_large_differences_of_scores_are_no_trouble() -> None:
    step = _step(num_edges=6, in_batch=False)

    _check_equal(
        step, _model(Comparator.DOT), replace(_SETTINGS, temperature=0.03), 1e-3
    )


@pytest.mark.parametrize("operators", _OPERATORS)
def test_chunks_that_were_made_before_change_nothing(
    operators: Sequence[Operator],
) -> None:
    step = _step(num_edges=11, in_batch=True)
    model = _model(Comparator.COSINE, operators)
    # Tables may come in another order than the rows.
    chunks = step_chunks(step.groups, reversed(list(step.rows)))
    inputs = [*step.rows.values(), *model.parameters()]

    own, given = (
        fused_edge_loss(step.rows, step.groups, model, _SETTINGS, chunks=each)
        for each in (None, chunks)
    )

    assert torch.equal(own.total, given.total)
    for ours, theirs in zip(
        torch.autograd.grad(given.total, inputs, allow_unused=True),
        torch.autograd.grad(own.total, inputs, allow_unused=True),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("operators", _OPERATORS)
@pytest.mark.parametrize("comparator", _COMPARATORS)
@pytest.mark.parametrize(
    ("in_batch", "shared"), [(False, False), (True, False), (False, True)]
)
def test_products_of_bfloat16_change_a_gradient_by_their_rounding(
    operators: Sequence[Operator], comparator: Comparator, in_batch: bool, shared: bool
) -> None:
    step = RandomStep(
        num_edges=60,
        chunk_size=30,
        num_negatives=6 if shared else 20,
        in_batch=in_batch,
        shared=shared,
        dim=32,
        dtype=torch.float32,
    )
    model = _model(comparator, operators, dim=32)
    inputs = [*step.rows.values(), *model.parameters()]
    exact, rounded = (
        torch.autograd.grad(
            fused_edge_loss(step.rows, step.groups, model, _SETTINGS, precision).total,
            inputs,
            allow_unused=True,
        )
        for precision in (Precision.FLOAT32, Precision.BFLOAT16)
    )

    for ours, theirs in zip(rounded, exact, strict=True):
        if theirs.numel():
            change = (ours - theirs).norm() / theirs.norm()
            assert 0 < change < 2**-6  # A bfloat16 has 8 bits.


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", ["segment", "negatives"])
def test_numbers_that_are_not_finite_are_seen_in_the_loss(
    value: float, place: str
) -> None:
    step = _step(num_edges=4, in_batch=False)
    group = step.groups[0]
    group.rhs.masked_negatives.resize_(2, 0)
    row = getattr(group.rhs, place).start
    with torch.no_grad():
        step.rows[group.rhs_type][row, 1] = value

    loss = fused_edge_loss(step.rows, step.groups, _model(Comparator.DOT), _SETTINGS)

    assert not torch.isfinite(loss.total)


@pytest.mark.parametrize(
    ("comparator", "kind", "dtype", "expected"),
    [
        (Comparator.COSINE, LossKind.SOFTMAX, torch.float32, True),
        (Comparator.NEGATIVE_L2, LossKind.SOFTMAX, torch.float32, False),
        (Comparator.COSINE, LossKind.LOGISTIC, torch.float32, False),
        (Comparator.COSINE, LossKind.SOFTMAX, torch.bfloat16, True),
        (Comparator.COSINE, LossKind.SOFTMAX, torch.float16, False),
    ],
)
def test_is_compiled_says_what_is_served(
    comparator: Comparator, kind: LossKind, dtype: torch.dtype, expected: bool
) -> None:
    rows = torch.zeros(1, 4)

    assert (
        is_compiled(comparator, replace(_SETTINGS, kind=kind), rows, dtype) == expected
    )
