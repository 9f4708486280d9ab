# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that a bundle gives edges the scores that the trained model gives them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from twhin.model.relation_model import RelationModel
from twhin.retrieval.relation_query import (
    candidate_type,
    known_type,
    make_query,
    score_rows,
)
from twhin.retrieval.retriever import Retriever
from twhin.scoring import Comparator
from twhin.side import Side
from twhin.side import Side as ModelSide
from twhin.testing.export_case import DIM, ExportCase, encoded_case


def _case(folder: Path, comparator: Comparator, *, reciprocal: bool) -> ExportCase:
    case = encoded_case(folder)
    model = dataclasses.replace(
        case.settings.model, comparator=comparator, reciprocal=reciprocal
    )
    settings = dataclasses.replace(case.settings, model=model)
    return dataclasses.replace(case, settings=settings)


def _model(case: ExportCase) -> RelationModel:
    settings = case.settings
    model = RelationModel(
        operators=[relation.operator for relation in settings.graph.relations],
        embedding_dim=DIM,
        comparator=settings.model.comparator,
        reciprocal=settings.model.reciprocal,
    )
    for name, parameters in model.parameters_by_name.items():
        parameters.data.copy_(case.model.relations[name])
    return model


@pytest.mark.parametrize(
    ("comparator", "reciprocal"),
    [
        (Comparator.DOT, True),
        (Comparator.DOT, False),
        (Comparator.COSINE, True),
        (Comparator.NEGATIVE_L2, False),
        (Comparator.NEGATIVE_L1, False),
    ],
)
def test_bundle_and_model_score_alike(
    tmp_path: Path, comparator: Comparator, reciprocal: bool
) -> None:
    case = _case(tmp_path, comparator, reciprocal=reciprocal)
    model = _model(case)
    bundle = case.export(tmp_path / "bundle")
    retriever = Retriever(bundle)

    for number, relation in enumerate(bundle.relations):
        for side in Side:
            known = case.model.tables[known_type(bundle, relation, side)][:3]
            candidates = candidate_type(bundle, relation, side)
            with torch.no_grad():
                expected_query = model.query(
                    ModelSide(side), known, torch.full((3,), number)
                )
                expected = model.comparator.elementwise(
                    expected_query.vectors[:, None], case.model.tables[candidates]
                )
            if expected_query.bias is not None:
                expected += expected_query.bias[:, None]

            query = make_query(bundle, relation, side, known.numpy())
            found = retriever.search(candidates, query, 5)

            best = torch.topk(expected, 5)
            ids = bundle.ids(candidates, found.rows.reshape(-1)).reshape(3, 5)
            assert (ids == best.indices.numpy()).all()
            np.testing.assert_allclose(
                found.scores, best.values.numpy(), rtol=1e-4, atol=1e-4
            )
            one = make_query(bundle, relation, side, known[:1].numpy())
            scores = score_rows(bundle, one, candidates, found.rows[0])
            np.testing.assert_allclose(scores, found.scores[0], rtol=1e-5, atol=1e-5)
