# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that each relation gets its own parameters."""

from pathlib import Path

import pytest
import torch

from twhin.errors import CheckpointError
from twhin.export.bundle_relations import make_relations
from twhin.scoring import Operator
from twhin.testing.export_case import DIM, encoded_case


def test_parameters_go_to_their_relations(tmp_path: Path) -> None:
    case = encoded_case(tmp_path)
    parameters = case.model.relations

    follows, buys, views = make_relations(case.settings, case.model.schema, parameters)

    assert follows.operator is Operator.IDENTITY
    assert follows.parameters.size == 0
    assert (views.name, views.lhs, views.rhs) == ("views", "user", "item")
    for place, relation in enumerate((buys, views)):
        assert relation.operator is Operator.TRANSLATION
        expected = parameters["translation"][place].tolist()
        assert relation.parameters.tolist() == expected
        assert relation.reciprocal_parameters is not None
        expected = parameters["translation_reciprocal"][place].tolist()
        assert relation.reciprocal_parameters.tolist() == expected


def test_parameters_of_another_model_are_refused(tmp_path: Path) -> None:
    case = encoded_case(tmp_path)
    parameters = case.model.relations

    for wrong in (
        {},
        {**parameters, "translation": torch.zeros(1, DIM)},
        {**parameters, "translation": torch.zeros(2, DIM + 1)},
    ):
        with pytest.raises(CheckpointError, match="relations/translation: has the sh"):
            make_relations(case.settings, case.model.schema, wrong)
