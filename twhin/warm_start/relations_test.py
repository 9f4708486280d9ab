# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that relations keep their parameters by name."""

from pathlib import Path

import pytest
import torch

from twhin.scoring import Operator
from twhin.testing.warm_start_case import DIM, Case, make_adagrad
from twhin.warm_start.checkpoint_model import CheckpointModel


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_relations_are_joined_by_name(case: Case) -> None:
    source = CheckpointModel.open(case.files.folder / "run")
    started = case.start(source, case.tables())
    # The order of the schema need not be that of the earlier one.
    backwards = case.relations()[::-1]
    parameters = {
        "translation": torch.zeros(2, DIM),
        "translation_reciprocal": torch.zeros(2, DIM),
    }

    adagrad = make_adagrad(parameters, 0.0)

    started.fill_relations(backwards, parameters, adagrad.state_dict())

    for name, found in parameters.items():
        assert torch.equal(found, case.parameters[name].flip(0))
    sums = [state["sum"][:, 0].tolist() for state in adagrad.state.values()]
    assert sums == [[4.0, 3.0], [6.0, 5.0]]


def test_relation_with_another_operator_is_new(tmp_path: Path) -> None:
    case = Case(tmp_path, new_operator="diagonal")
    started = case.start(CheckpointModel.open(tmp_path / "run"), case.tables())
    relations = case.relations()
    assert [r.operator for r in relations] == [Operator.TRANSLATION, Operator.DIAGONAL]
    parameters = {
        "translation": torch.zeros(1, DIM),
        "diagonal": torch.ones(1, DIM),
    }

    started.fill_relations(relations, parameters)

    assert torch.equal(parameters["translation"], case.parameters["translation"][:1])
    assert parameters["diagonal"].tolist() == [[1.0] * DIM]
