# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of relation_loss."""

import math
from dataclasses import replace

import pytest
import torch

from twhin.model.relation_loss import relation_loss
from twhin.model.relation_model import RelationModel
from twhin.model.weighted_edges import WeightedEdges
from twhin.scoring import Comparator, Operator
from twhin.testing.loss_check import check_equal, make_model
from twhin.testing.random_step import RandomStep
from twhin.testing.step_settings import make_loss_settings

_TYPES = [("user", "user"), ("user", "tweet"), ("user", "user")]
# One edge of the first relation, with s = 2, t = 3 and weight 5.
_EDGE = WeightedEdges(
    torch.tensor([[2.0]]),
    torch.tensor([[3.0]]),
    torch.tensor([0]),
    torch.tensor([5.0]),
)
_SETTINGS = make_loss_settings(
    temperature=2.0, lhs_weight=0.5, rhs_weight=3.0, relation_weight=0.1
)


def _model(types: list[tuple[str, str]] | None, reciprocal: bool) -> RelationModel:
    model = RelationModel(
        operators=[Operator.DIAGONAL, Operator.TRANSLATION, Operator.TRANSLATION],
        embedding_dim=1,
        comparator=Comparator.DOT,
        reciprocal=reciprocal,
        types=types,
    )
    for number, (name, parameters) in enumerate(model.parameters_by_name.items()):
        start = 7.0 * name.endswith("reciprocal")
        values = start + number + torch.arange(float(len(parameters)))
        parameters.data[:] = values[:, None]
    return model


def _minus_log_p(scores: list[float]) -> float:
    """Returns -log p of the first, at temperature 2."""
    return math.log(sum(math.exp((score - scores[0]) / 2.0) for score in scores))


def test_value_matches_that_computed_by_hand() -> None:
    model = _model(None, reciprocal=False)

    loss = relation_loss(model, _EDGE, _SETTINGS)

    # Parameters 0; 1, 2: scores 2 * 0 * 3, (2 + 1) * 3 and (2 + 2) * 3.
    expected = 0.1 * (0.5 + 3.0) * 5.0 * _minus_log_p([0.0, 9.0, 12.0])
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-6)


def test_relations_between_other_entity_types_do_not_count() -> None:
    model = _model(_TYPES, reciprocal=False)

    loss = relation_loss(model, _EDGE, _SETTINGS)

    expected = 0.1 * (0.5 + 3.0) * 5.0 * _minus_log_p([0.0, 12.0])
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-6)


def test_reciprocal_parameters_have_a_loss_with_the_weight_of_their_side() -> None:
    model = _model(_TYPES, reciprocal=True)

    loss = relation_loss(model, _EDGE, _SETTINGS)

    # Forward 0; 2, 3: 2 * 0 * 3 and (2 + 3) * 3. Reciprocal 8; 10, 11, applied to the
    # rhs: 3 * 8 * 2 and (3 + 11) * 2.
    rhs, lhs = _minus_log_p([0.0, 15.0]), _minus_log_p([48.0, 28.0])
    expected = 0.1 * 5.0 * (3.0 * rhs + 0.5 * lhs)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("comparator", [Comparator.COSINE, Comparator.NEGATIVE_L2])
def test_fused_equals_plain(comparator: Comparator) -> None:
    step = RandomStep(num_edges=10, chunk_size=4, num_negatives=5, in_batch=True)

    check_equal(step, make_model(comparator), replace(_SETTINGS, n3=0.1))


@pytest.mark.parametrize("operator", [Operator.TRANSLATION, Operator.DIAGONAL])
def test_compiled_equals_plain(operator: Operator) -> None:
    step = RandomStep(
        num_edges=10,
        chunk_size=4,
        num_negatives=5,
        in_batch=False,
        dtype=torch.float32,
    )
    model = make_model(Comparator.COSINE, [operator] * 3, dtype=torch.float32)

    check_equal(step, model, _SETTINGS, value=1e-5, rtol=1e-4, atol=1e-5)
