# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of relation_model."""

import pytest
import torch

from twhin.model.relation_model import RelationModel
from twhin.scoring import Comparator, Operator
from twhin.side import Side


def _model(operators: list[Operator], *, reciprocal: bool) -> RelationModel:
    model = RelationModel(
        operators=operators,
        embedding_dim=2,
        comparator=Comparator.DOT,
        reciprocal=reciprocal,
    )
    for number, parameters in enumerate(model.parameters()):
        parameters.data.uniform_(-1, 1, generator=torch.Generator().manual_seed(number))
    return model


def test_translation_acts_on_the_lhs() -> None:
    model = _model([Operator.TRANSLATION], reciprocal=False)
    model.parameters_by_name["translation"].data = torch.tensor([[10.0, 20.0]])

    query = model.query(Side.RHS, torch.tensor([[1.0, 2.0]]), torch.tensor([0]))

    torch.testing.assert_close(query.vectors, torch.tensor([[11.0, 22.0]]))
    assert query.bias is None


def test_without_reciprocal_parameters_both_sides_give_an_edge_one_score() -> None:
    model = _model([Operator.TRANSLATION, Operator.LINEAR], reciprocal=False)
    lhs, rhs = (
        torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        torch.tensor([[5.0, 6.0], [7.0, 8.0]]),
    )
    rel = torch.tensor([0, 1])

    by_rhs = model.query(Side.RHS, lhs, rel)
    by_lhs = model.query(Side.LHS, rhs, rel)

    assert by_lhs.bias is not None
    torch.testing.assert_close(
        model.comparator.elementwise(by_rhs.vectors, rhs),
        model.comparator.elementwise(by_lhs.vectors, lhs) + by_lhs.bias,
    )


def test_reciprocal_parameters_are_the_other_sides_own() -> None:
    model = _model([Operator.TRANSLATION], reciprocal=True)
    x, rel = torch.tensor([[1.0, 2.0]]), torch.tensor([0])

    forward = model.query(Side.RHS, x, rel).vectors - x
    backward = model.query(Side.LHS, x, rel).vectors - x

    torch.testing.assert_close(forward, model.parameters_by_name["translation"])
    torch.testing.assert_close(
        backward, model.parameters_by_name["translation_reciprocal"]
    )
    assert not torch.equal(forward, backward)


@pytest.mark.parametrize("side", Side)
def test_mixed_operators_equal_each_operator_alone(side: Side) -> None:
    kinds = [Operator.DIAGONAL, Operator.TRANSLATION, Operator.DIAGONAL]
    model = _model(kinds, reciprocal=False)
    known = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    rel = torch.tensor([2, 1, 0, 1])

    mixed = model.query(side, known, rel)

    for edge in range(4):
        single = model.query(side, known[edge : edge + 1], rel[edge : edge + 1])
        torch.testing.assert_close(mixed.vectors[edge], single.vectors[0])
        if single.bias is not None and mixed.bias is not None:
            torch.testing.assert_close(mixed.bias[edge], single.bias[0])


@pytest.mark.parametrize("reciprocal", [True, False])
def test_gradient_reaches_every_parameter(reciprocal: bool) -> None:
    kinds = list(Operator)
    kinds.remove(Operator.IDENTITY)
    model = _model(kinds, reciprocal=reciprocal)
    rel = torch.arange(len(kinds))
    known = torch.ones(len(kinds), 2)

    total = torch.zeros(())
    for side in Side:
        query = model.query(side, known, rel)
        total = total + (query.vectors * torch.tensor([1.0, 2.0])).sum()
        if query.bias is not None:
            total = total + query.bias.sum()
    total.backward()  # type: ignore[no-untyped-call]

    for name, parameters in model.named_parameters():
        assert parameters.grad is not None, name
        assert bool((parameters.grad.abs().sum(-1) > 0).all()), name


_SHIFTS = [Operator.IDENTITY, Operator.TRANSLATION]


@pytest.mark.parametrize("reciprocal", [False, True])
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    "operators", [_SHIFTS[:1] * 2, _SHIFTS[1:] * 2, [*_SHIFTS, *_SHIFTS[::-1]]]
)
def test_shifts_are_all_that_queries_add(
    operators: list[Operator], side: Side, reciprocal: bool
) -> None:
    model = _model(operators, reciprocal=reciprocal)
    rel = torch.arange(len(operators)).repeat(2)
    known = torch.randn(len(rel), 2, generator=torch.Generator().manual_seed(7))

    shifts = model.shifts(side)

    assert shifts is not None
    torch.testing.assert_close(
        known + shifts[rel], model.query(side, known, rel).vectors
    )


def test_operators_that_do_more_have_no_shifts() -> None:
    model = _model([Operator.TRANSLATION, Operator.DIAGONAL], reciprocal=True)

    assert [model.shifts(side) for side in Side] == [None, None]
