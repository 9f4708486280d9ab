# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of edge_loss."""

import math

import pytest
import torch
from torch import Tensor

from twhin.config.settings import LossKind
from twhin.model import regularizers
from twhin.model.edge_group import EdgeGroup, GroupSide, Segment
from twhin.model.edge_loss import edge_loss
from twhin.model.relation_model import RelationModel
from twhin.model.weighted_edges import WeightedEdges
from twhin.scoring import Comparator, Operator
from twhin.testing.random_step import RandomStep
from twhin.testing.step_settings import make_loss_settings

_NO_PAIRS = torch.empty(2, 0, dtype=torch.int64)


def _model(comparator: Comparator = Comparator.DOT, dim: int = 1) -> RelationModel:
    return RelationModel(
        operators=[Operator.TRANSLATION] * 3,
        embedding_dim=dim,
        comparator=comparator,
        reciprocal=True,
    )


def _side(
    start: int, size: int, num_negatives: int, masked_negatives: Tensor = _NO_PAIRS
) -> GroupSide:
    return GroupSide(
        segment=Segment(start=start, stop=start + size),
        negatives=Segment(start=start + size, stop=start + size + num_negatives),
        num_negatives=num_negatives,
        shared_negatives=False,
        masked_negatives=masked_negatives,
        masked_in_batch=None,
        log_q=None,
        negative_log_q=None,
    )


def _one_edge(weight: float = 1.0, masked: Tensor = _NO_PAIRS) -> EdgeGroup:
    """One edge a -> b; a has rows [lhs, negative], b [rhs, negative, negative]."""
    return EdgeGroup(
        lhs_type="a",
        rhs_type="b",
        rel=torch.tensor([0]),
        weight=torch.tensor([weight]),
        chunk_size=1,
        lhs=_side(0, 1, 1),
        rhs=_side(0, 1, 2, masked),
    )


_ROWS = {"a": torch.tensor([[2.0], [3.0]]), "b": torch.tensor([[1.0], [0.5], [-1.0]])}
# Positive 2 * 1; lhs negative 3 * 1; rhs negatives 2 * .5 and 2 * -1.
_LHS = math.log(math.exp(2) + math.exp(3)) - 2.0
_RHS = math.log(math.exp(2) + math.exp(1) + math.exp(-2)) - 2.0


def test_value_matches_that_computed_by_hand() -> None:
    loss = edge_loss(_ROWS, [_one_edge()], _model(), make_loss_settings())

    assert float(loss.lhs) == pytest.approx(_LHS, rel=1e-6)
    assert float(loss.rhs) == pytest.approx(_RHS, rel=1e-6)
    assert float(loss.total.detach()) == pytest.approx(_LHS + _RHS, rel=1e-6)


def test_weights_of_edges_and_sides_multiply_the_loss() -> None:
    settings = make_loss_settings(lhs_weight=2.0, rhs_weight=0.5)

    loss = edge_loss(_ROWS, [_one_edge(weight=3.0)], _model(), settings)

    assert float(loss.lhs) == pytest.approx(6.0 * _LHS, rel=1e-6)
    assert float(loss.rhs) == pytest.approx(1.5 * _RHS, rel=1e-6)


def test_masked_negative_does_not_count() -> None:
    group = _one_edge(masked=torch.tensor([[0], [1]]))

    loss = edge_loss(_ROWS, [group], _model(), make_loss_settings())

    expected = math.log(math.exp(2) + math.exp(1)) - 2.0
    assert float(loss.rhs) == pytest.approx(expected, rel=1e-6)


def test_penalties_are_added_to_the_total_only() -> None:
    model = _model()
    for parameters in model.parameters():
        parameters.data.fill_(-3.0)

    loss = edge_loss(_ROWS, [_one_edge()], model, make_loss_settings(l2=0.1, n3=0.01))

    # 2^2 + 1^2 + 3^2 = 14 and 2^3 + 1^3 + 3^3 = 36.
    assert float(loss.total.detach() - loss.lhs - loss.rhs) == pytest.approx(
        1.76, rel=1e-5
    )


def test_complex_numbers_are_penalised_by_their_moduli() -> None:
    model = RelationModel(
        operators=[Operator.COMPLEX_DIAGONAL],
        embedding_dim=2,
        comparator=Comparator.DOT,
        reciprocal=True,
    )
    first, second = model.parameters()
    first.data[:] = torch.tensor([[0.6, 0.8]])
    second.data[:] = torch.tensor([[0.0, 3.0]])
    lhs, rhs = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, -2.0]])

    total = regularizers.penalty(
        model,
        WeightedEdges(lhs, rhs, torch.tensor([0]), torch.tensor([2.0])),
        make_loss_settings(n3=0.1),
    )

    # 5^3 + 2^3, and the mean of 1^3 and 3^3.
    assert float(total.detach()) == pytest.approx(2.0 * 0.1 * (133.0 + 14.0), rel=1e-5)


def test_duality_holds_images_of_both_ends_small() -> None:
    model = RelationModel(
        operators=[Operator.IDENTITY, Operator.LINEAR],
        embedding_dim=2,
        comparator=Comparator.DOT,
        reciprocal=True,
    )
    model.parameters_by_name["linear"].data[:] = torch.tensor([[1.0, 2.0, 0.0, 1.0]])
    model.parameters_by_name["linear_reciprocal"].data[:] = torch.tensor(
        [[0.0, 3.0, 1.0, 0.0]]
    )
    lhs = torch.tensor([[1.0, 1.0], [1.0, 2.0]])
    rhs = torch.tensor([[3.0, 0.0], [0.0, 1.0]])

    total = regularizers.penalty(
        model,
        WeightedEdges(lhs, rhs, torch.tensor([0, 1]), torch.tensor([1.0, 2.0])),
        make_loss_settings(dura=0.1),
    )

    # Identity: 2 + 9, and the same again for the images.
    first = 0.5 * 11.0 + 1.5 * 11.0
    # 5 + 1. A s = (5, 2), A' t = (0, 1); the reciprocal B t = (3, 0), B' s = (2, 3).
    second = 0.5 * 6.0 + 1.5 * ((29.0 + 1.0) + (9.0 + 13.0)) / 2
    assert float(total.detach()) == pytest.approx(
        0.1 * (first + 2.0 * second), rel=1e-5
    )


@pytest.mark.parametrize("comparator", Comparator)
@pytest.mark.parametrize("kind", LossKind)
def test_every_objective_composes_with_every_comparator(
    comparator: Comparator, kind: LossKind
) -> None:
    step = RandomStep(num_edges=7, chunk_size=3, num_negatives=4, in_batch=True)
    model = _model(comparator, dim=4).double()

    loss = edge_loss(step.rows, step.groups, model, make_loss_settings(kind=kind))
    loss.total.backward()  # type: ignore[no-untyped-call]

    assert math.isfinite(float(loss.total.detach()))
    for rows in step.rows.values():
        assert rows.grad is not None
        assert bool(torch.isfinite(rows.grad).all())
        assert bool((rows.grad.abs().sum() > 0).all())


def test_negative_has_the_score_of_its_edge() -> None:
    """With an equal entity as the only negative, softmax gives exactly log 2."""
    rows = {"a": torch.tensor([[2.0], [2.0]]), "b": torch.tensor([[1.0], [1.0], [1.0]])}
    group = _one_edge(masked=torch.tensor([[0], [1]]))
    model = _model()
    for parameters in model.parameters():
        parameters.data.fill_(0.7)

    loss = edge_loss(rows, [group], model, make_loss_settings())

    assert float(loss.lhs) == pytest.approx(math.log(2.0), rel=1e-6)
    assert float(loss.rhs) == pytest.approx(math.log(2.0), rel=1e-6)
