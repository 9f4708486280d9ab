# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of operators."""

import math

import pytest
import torch
from torch import Tensor

from twhin.model.comparators import make_comparator
from twhin.model.operators import make_operator
from twhin.scoring import Comparator, Operator, has_transpose, num_parameters

# x = [1, 2, 3, 4] by the parameters of one relation, computed by hand. Complex
# numbers have their real parts first: x is 1 + 3i, 2 + 4i.
_X = [1.0, 2.0, 3.0, 4.0]
# The matrix that shifts elements: y_i = x_(i + 1 mod 4), row by row.
_SHIFT = [float(column == (row + 1) % 4) for row in range(4) for column in range(4)]
_EXPECTED = {
    Operator.IDENTITY: ([], [1.0, 2.0, 3.0, 4.0]),
    Operator.TRANSLATION: ([1.0, 0.0, -1.0, 2.0], [2.0, 2.0, 2.0, 6.0]),
    Operator.DIAGONAL: ([2.0, 0.0, -1.0, 0.5], [2.0, 0.0, -3.0, 2.0]),
    # (1 + 3i)(0 + i) = -3 + i, (2 + 4i)(2 + 0i) = 4 + 8i.
    Operator.COMPLEX_DIAGONAL: ([0.0, 2.0, 1.0, 0.0], [-3.0, 4.0, 1.0, 8.0]),
    # A quarter turn: i (1 + 3i) = -3 + i; half a turn: -(2 + 4i).
    Operator.ROTATION: ([math.pi / 2, math.pi], [-3.0, -2.0, 1.0, -4.0]),
    Operator.LINEAR: (_SHIFT, [2.0, 3.0, 4.0, 1.0]),
    Operator.AFFINE: ([*_SHIFT, 10.0, 0.0, 0.0, 0.0], [12.0, 3.0, 4.0, 1.0]),
}


def _random_case(operator: Operator) -> tuple[Tensor, Tensor, Tensor]:
    """Returns x [50, 4], parameters of 7 relations, and their relations [50]."""
    generator = torch.Generator().manual_seed(3)
    count = num_parameters(operator, 4)
    parameters = torch.randn(7, count, generator=generator)
    rel = torch.randint(0, 6, (50,), generator=generator)
    return torch.randn(50, 4, generator=generator), parameters, rel


def test_every_operator_has_a_case_here() -> None:
    assert set(_EXPECTED) == set(Operator)


@pytest.mark.parametrize("operator", Operator)
def test_values_match_those_computed_by_hand(operator: Operator) -> None:
    parameters, expected = _EXPECTED[operator]

    result = make_operator(operator).apply(
        torch.tensor([_X]), torch.tensor([parameters]), torch.tensor([0])
    )

    torch.testing.assert_close(result, torch.tensor([expected]))
    assert num_parameters(operator, 4) == len(parameters)


@pytest.mark.parametrize("operator", Operator)
def test_mixed_relations_equal_one_relation_at_a_time(operator: Operator) -> None:
    x, parameters, rel = _random_case(operator)
    apply = make_operator(operator).apply

    mixed = apply(x, parameters, rel)

    single = [apply(x[e : e + 1], parameters, rel[e : e + 1]) for e in range(len(x))]
    torch.testing.assert_close(mixed, torch.cat(single))
    assert apply(x[:0], parameters, rel[:0]).shape == (0, 4)


@pytest.mark.parametrize(
    ("operator", "comparator"),
    [(o, c) for o in Operator for c in Comparator if has_transpose(o, c)],
)
def test_transpose_gives_an_edge_the_same_score(
    operator: Operator, comparator: Comparator
) -> None:
    x, parameters, rel = _random_case(operator)
    y = torch.randn(x.shape, generator=torch.Generator().manual_seed(4))
    compare = make_comparator(comparator).elementwise

    query = make_operator(operator).transpose(x, parameters, rel, comparator)

    scores = compare(query.vectors, y)
    if query.bias is not None:
        scores = scores + query.bias
    forward = compare(make_operator(operator).apply(y, parameters, rel), x)
    torch.testing.assert_close(scores, forward, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("operator", Operator)
def test_products_and_norms_of_all_relations_equal_those_of_each(
    operator: Operator,
) -> None:
    x, parameters, _ = _random_case(operator)
    y = torch.randn(x.shape, generator=torch.Generator().manual_seed(4))
    module = make_operator(operator)

    products = module.products(x, y, parameters)
    squared_norms = module.squared_norms(x, parameters)

    for r in range(len(parameters)):
        image = module.apply(x, parameters, torch.full((len(x),), r))
        torch.testing.assert_close(products[:, r], (image * y).sum(-1))
        torch.testing.assert_close(squared_norms[:, r], image.square().sum(-1))


@pytest.mark.parametrize("operator", Operator)
def test_gradient_reaches_embeddings_and_parameters(operator: Operator) -> None:
    x, parameters, rel = _random_case(operator)
    apply = make_operator(operator).apply
    x, parameters = x[:5].double(), parameters.double()

    assert torch.autograd.gradcheck(
        lambda a, p: apply(a, p, rel[:5]),
        (x.requires_grad_(), parameters.requires_grad_()),
    )


_STARTS_AT_RANDOM = {Operator.ROTATION, Operator.COMPLEX_DIAGONAL}


@pytest.mark.parametrize("operator", sorted(set(Operator) - _STARTS_AT_RANDOM))
def test_initial_operator_is_the_identity(operator: Operator) -> None:
    x, parameters, rel = _random_case(operator)
    module = make_operator(operator)

    module.initialize(parameters, torch.Generator().manual_seed(0))

    torch.testing.assert_close(module.apply(x, parameters, rel), x)


def test_initial_rotations_are_spread_over_the_circle() -> None:
    angles = torch.empty(100, 10)

    make_operator(Operator.ROTATION).initialize(
        angles, torch.Generator().manual_seed(0)
    )

    assert float(angles.min()) >= -math.pi
    assert float(angles.max()) < math.pi
    assert abs(float(angles.mean())) < 0.2
    assert float(angles.std()) == pytest.approx(math.pi / math.sqrt(3), rel=0.05)


def test_initial_complex_numbers_are_spread_around_zero() -> None:
    parameters = torch.empty(100, 20)

    make_operator(Operator.COMPLEX_DIAGONAL).initialize(
        parameters, torch.Generator().manual_seed(0)
    )

    assert abs(float(parameters.mean())) < 0.01
    assert float(parameters.std()) == pytest.approx(0.1, rel=0.05)
