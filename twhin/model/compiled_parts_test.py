# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Compares compiled loops with the plain composition, for several threads."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from twhin.config.settings import Comparator, Loss, LossKind, Operator
from twhin.cpu import threads
from twhin.model.compiled_parts import is_compiled
from twhin.model.edge_loss import EdgeLoss, edge_loss
from twhin.model.fused_edge_loss import fused_edge_loss
from twhin.model.relation_model import RelationModel
from twhin.testing.random_step import RandomStep

_COMPARATORS = (Comparator.DOT, Comparator.COSINE)


@pytest.fixture(params=[1, 3], autouse=True)
def num_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Gives a step one thread, or several."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    with threads.taken_over():
        yield
    torch.set_num_threads(before)


def _settings(kind: LossKind = LossKind.SOFTMAX, temperature: float = 0.5) -> Loss:
    return Loss(
        kind=kind,
        temperature=temperature,
        margin=1.0,
        adversarial_temperature=1.0,
        negative_weight=1.0,
        lhs_weight=0.5,
        rhs_weight=2.0,
        l2=0.01,
        n3=0.0,
    )


def _model(comparator: Comparator, reciprocal: bool = True) -> RelationModel:
    model = RelationModel(
        operators=[Operator.TRANSLATION, Operator.DIAGONAL, Operator.TRANSLATION],
        embedding_dim=4,
        comparator=comparator,
        reciprocal=reciprocal,
    )
    generator = torch.Generator().manual_seed(1)
    for parameters in model.parameters():
        parameters.data += 0.3 * torch.randn(parameters.shape, generator=generator)
    return model


def _gradients(loss: EdgeLoss, step: RandomStep, model: RelationModel) -> list[Tensor]:
    inputs = [*step.rows.values(), *model.parameters()]
    return list(torch.autograd.grad(loss.total, inputs))


def _check_equal(
    step: RandomStep, model: RelationModel, settings: Loss, atol: float = 1e-5
) -> None:
    (rows, *_) = step.rows.values()
    assert is_compiled(model.comparator_kind, settings, rows, torch.float32)
    plain = edge_loss(step.rows, step.groups, model, settings)
    compiled = fused_edge_loss(step.rows, step.groups, model, settings)

    for name in ("total", "lhs", "rhs"):
        ours, theirs = getattr(compiled, name), getattr(plain, name)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    expected = _gradients(plain, step, model)
    for ours, theirs in zip(_gradients(compiled, step, model), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=atol)


@pytest.mark.parametrize("comparator", _COMPARATORS)
@pytest.mark.parametrize("log_q", [False, True])
@pytest.mark.parametrize(
    ("num_negatives", "in_batch"), [(5, False), (37, True), (0, True)]
)
def test_compiled_equals_plain(
    comparator: Comparator, log_q: bool, num_negatives: int, in_batch: bool
) -> None:
    step = RandomStep(
        num_edges=10,
        chunk_size=4,
        num_negatives=num_negatives,
        in_batch=in_batch,
        log_q=log_q,
        dtype=torch.float32,
    )

    _check_equal(step, _model(comparator), _settings())


@pytest.mark.parametrize("comparator", _COMPARATORS)
def test_compiled_equals_plain_where_all_entities_are_negatives(
    comparator: Comparator,
) -> None:
    step = RandomStep(
        num_edges=10,
        chunk_size=4,
        num_negatives=6,
        in_batch=False,
        shared=True,
        dtype=torch.float32,
    )

    _check_equal(step, _model(comparator), _settings())


def test_compiled_equals_plain_with_the_bias_of_a_transposed_translation() -> None:
    step = RandomStep(
        num_edges=9, chunk_size=4, num_negatives=5, in_batch=True, dtype=torch.float32
    )

    _check_equal(step, _model(Comparator.DOT, reciprocal=False), _settings())


@pytest.mark.parametrize(("lhs", "rhs"), [(0.0, 1.0), (1.0, 0.0)])
def test_a_side_without_weight_is_left_out(lhs: float, rhs: float) -> None:
    step = RandomStep(
        num_edges=9, chunk_size=4, num_negatives=5, in_batch=True, dtype=torch.float32
    )

    _check_equal(
        step,
        _model(Comparator.COSINE),
        replace(_settings(), lhs_weight=lhs, rhs_weight=rhs),
    )


def test_large_differences_of_scores_are_no_trouble() -> None:
    step = RandomStep(
        num_edges=6, chunk_size=4, num_negatives=5, in_batch=False, dtype=torch.float32
    )

    _check_equal(step, _model(Comparator.DOT), _settings(temperature=0.03), 1e-3)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", ["segment", "negatives"])
def test_numbers_that_are_not_finite_are_seen_in_the_loss(
    value: float, place: str
) -> None:
    step = RandomStep(
        num_edges=4, chunk_size=4, num_negatives=5, in_batch=False, dtype=torch.float32
    )
    group = step.groups[0]
    group.rhs.masked_negatives.resize_(2, 0)
    row = getattr(group.rhs, place).start
    with torch.no_grad():
        step.rows[group.rhs_type][row, 1] = value

    loss = fused_edge_loss(step.rows, step.groups, _model(Comparator.DOT), _settings())

    assert not torch.isfinite(loss.total)


@pytest.mark.parametrize(
    ("comparator", "kind", "dtype", "expected"),
    [
        (Comparator.COSINE, LossKind.SOFTMAX, torch.float32, True),
        (Comparator.NEGATIVE_L2, LossKind.SOFTMAX, torch.float32, False),
        (Comparator.COSINE, LossKind.LOGISTIC, torch.float32, False),
        (Comparator.COSINE, LossKind.SOFTMAX, torch.bfloat16, False),
    ],
)
def test_is_compiled_says_what_is_served(
    comparator: Comparator, kind: LossKind, dtype: torch.dtype, expected: bool
) -> None:
    rows = torch.zeros(1, 4)

    assert is_compiled(comparator, _settings(kind), rows, dtype) == expected
