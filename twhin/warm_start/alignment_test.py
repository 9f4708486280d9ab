# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks the report on kept rows, and that rotated models score as before."""

import math

import pytest
import torch
from torch import Tensor

from twhin.config.validate import ROTATED_OPERATORS
from twhin.model.relation_model import RelationModel
from twhin.scoring import Comparator, Operator
from twhin.side import Side
from twhin.testing.earlier_models import ALONE, ModelInMemory, join_for_test
from twhin.warm_start.alignment import (
    best_rotation,
    measure_alignment,
    rotate_parameters,
    rotation_degrees,
)


def _turn(degrees: float, dim: int = 2) -> Tensor:
    """Returns the rotation of the first two dimensions."""
    angle = math.radians(degrees)
    rotation = torch.eye(dim, dtype=torch.float64)
    rotation[:2, :2] = torch.tensor(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    )
    return rotation


def _random_rotation(dim: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    matrix = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
    rotation: Tensor = torch.linalg.qr(matrix)[0]
    return rotation


def test_cosines_are_those_of_kept_rows() -> None:
    earlier = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    # Unchanged but longer, turned by 60 degrees, opposite; and a new row.
    now = torch.tensor([[5.0, 0.0], [3**0.5, 1.0], [-1.0, 0.0], [7.0, 7.0]])
    joined = [join_for_test("user", now, [0, 1, 2, -1])]

    found = measure_alignment(ModelInMemory({"user": earlier}), joined, ["user"], ALONE)

    quantiles = {
        name.removeprefix("alignment/user/cosine_"): value
        for name, value in found.metrics.items()
        if name.startswith("alignment/user/")
    }
    assert quantiles == pytest.approx(
        {"p1": -1, "p10": -1, "p50": 0.5, "p90": 1, "p99": 1}, abs=1e-4
    )
    # 1 x 5 + 2 x 1 - 3 x 1 over the norms sqrt(14) and sqrt(30).
    assert found.metrics["alignment/similarity"] == pytest.approx(4 / 420**0.5)


def test_common_rotation_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    earlier = {
        "user": torch.randn(50, 2, generator=generator),
        "tweet": torch.randn(20, 2, generator=generator),
    }
    back = _turn(-30)
    joined = [
        join_for_test(name, (rows.double() @ _turn(30)).float(), list(range(len(rows))))
        for name, rows in earlier.items()
    ]

    found = measure_alignment(ModelInMemory(earlier), joined, list(earlier), ALONE)

    assert found.rotation is not None
    assert torch.allclose(found.rotation, back, atol=1e-6)
    metrics = found.metrics
    assert metrics["alignment/rotation_degrees"] == pytest.approx(30, abs=1e-3)
    assert metrics["alignment/similarity"] == pytest.approx(math.cos(math.pi / 6))
    assert metrics["alignment/similarity_rotated"] == pytest.approx(1)
    assert metrics["alignment/user/cosine_p50"] == pytest.approx(3**0.5 / 2, abs=1e-4)


def test_nothing_kept_gives_no_metrics() -> None:
    source = ModelInMemory({"user": torch.zeros(1, 2)})

    found = measure_alignment(
        source, [join_for_test("user", torch.ones(2, 2), [-1, -1])], ["user"], ALONE
    )

    assert found.metrics == {}
    assert found.rotation is not None
    assert torch.equal(found.rotation, torch.eye(2, dtype=torch.float64))


def test_tables_divided_by_columns_are_not_compared() -> None:
    source = ModelInMemory({"user": torch.ones(1, 2)})

    found = measure_alignment(
        source, [join_for_test("user", torch.ones(1, 1), [0])], ["user"], ALONE
    )

    assert (found.metrics, found.rotation) == ({}, None)


def test_degrees_are_those_of_the_turned_plane() -> None:
    # Of four dimensions two are turned by 40 degrees.
    assert rotation_degrees(_turn(40, 4)) == pytest.approx(40 / 2**0.5)


def test_best_rotation_is_orthogonal_and_best() -> None:
    generator = torch.Generator().manual_seed(0)
    now, before = torch.randn(2, 30, 4, generator=generator, dtype=torch.float64)

    rotation = best_rotation(now.T @ before)

    assert torch.allclose(rotation @ rotation.T, torch.eye(4, dtype=torch.float64))
    for other in (torch.eye(4, dtype=torch.float64), _random_rotation(4)):
        assert (now @ rotation - before).norm() < (now @ other - before).norm()


@pytest.mark.parametrize(
    "comparator", sorted(set(Comparator) - {Comparator.NEGATIVE_L1})
)
@pytest.mark.parametrize("operator", sorted(ROTATED_OPERATORS))
def test_scores_stay_where_rotation_is_allowed(
    operator: Operator, comparator: Comparator
) -> None:
    generator = torch.Generator().manual_seed(2)
    model = RelationModel(
        operators=[operator, operator],
        embedding_dim=4,
        comparator=comparator,
        reciprocal=False,
    )
    parameters = model.parameters_by_name[str(operator)].detach()
    parameters.normal_(generator=generator)
    lhs, rhs = torch.randn(2, 5, 4, generator=generator)
    rel = torch.tensor([0, 1, 0, 1, 1])
    rotation = _random_rotation(4)

    def score(lhs: Tensor, rhs: Tensor) -> Tensor:
        query = model.query(Side.RHS, lhs, rel).vectors
        return model.comparator.elementwise(query, rhs)

    before = score(lhs, rhs)
    parameters.copy_(rotate_parameters(operator, parameters.clone(), rotation))
    after = score(lhs @ rotation.float(), rhs @ rotation.float())

    assert torch.allclose(after, before, atol=1e-4)


def test_operators_on_single_dimensions_cannot_be_rotated() -> None:
    with pytest.raises(ValueError, match="one by one"):
        rotate_parameters(Operator.DIAGONAL, torch.ones(1, 4), _random_rotation(4))
