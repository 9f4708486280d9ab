# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that an aligned export turns vectors, and nothing else."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from twhin.bundle.bundle import Bundle
from twhin.errors import BundleError
from twhin.export.export_bundle import export_bundle
from twhin.export.rotated_reader import RotatedReader
from twhin.retrieval.relation_query import make_query, score_rows
from twhin.side import Side
from twhin.testing.export_case import DIM, ExportCase, encoded_case
from twhin.testing.small_bundle import TableForTest, write_bundle_for_test


def _rotation() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randn(DIM, DIM, generator=generator, dtype=torch.float64)
    rotation: Tensor = torch.linalg.qr(drawn).Q
    return rotation


def _export_next_day(
    case: ExportCase, root: Path, *, align: bool, world_size: int = 1
) -> Bundle:
    """Exports the model of the case turned, which is what a new training may do."""
    case = case.with_export(align_to_previous=align)
    barrier = threading.Barrier(world_size)

    def export(rank: int) -> str | None:
        return export_bundle(
            RotatedReader(case.model, _rotation()),
            case.graph,
            case.settings,
            root,
            rank=rank,
            world_size=world_size,
            barrier=barrier.wait,  # type: ignore[arg-type]
        )

    with ThreadPoolExecutor(world_size) as pool:
        list(pool.map(export, range(world_size)))
    return Bundle.open(root)


def _vectors(bundle: Bundle, entity_type: str) -> npt.NDArray[np.float32]:
    rows = bundle.find(entity_type, np.arange(bundle.tables[entity_type].num_rows))
    return bundle.vectors(entity_type, rows)


@pytest.mark.parametrize("world_size", [1, 2])
def test_turned_model_is_turned_back(tmp_path: Path, world_size: int) -> None:
    case = encoded_case(tmp_path)
    before = case.export(tmp_path / "bundle")

    now = _export_next_day(case, tmp_path / "bundle", align=True, world_size=world_size)

    assert now.version == "v000002"
    for entity_type in before.entity_types:
        found = _vectors(now, entity_type)
        assert np.allclose(found, _vectors(before, entity_type), atol=1e-5)
    for name, relation in before.relations.items():
        same = now.relations[name]
        assert np.allclose(same.parameters, relation.parameters, atol=1e-5)
    metrics = now.manifest.metrics
    assert metrics["export/similarity"] < 0.9
    assert metrics["export/similarity_aligned"] == pytest.approx(1.0)
    assert metrics["export/rotation_degrees"] > 10


def test_vectors_stay_as_they_are_without_alignment(tmp_path: Path) -> None:
    case = encoded_case(tmp_path)
    before = case.export(tmp_path / "bundle")

    now = _export_next_day(case, tmp_path / "bundle", align=False)

    assert not np.allclose(_vectors(now, "user"), _vectors(before, "user"), atol=0.1)
    assert "export/similarity" not in now.manifest.metrics


def test_scores_stay(tmp_path: Path) -> None:
    case = encoded_case(tmp_path)
    # Another model before, of fewer users and other numbers.
    generator = np.random.default_rng(5)
    write_bundle_for_test(
        tmp_path / "bundle",
        {
            "user": TableForTest(
                ids=range(40, 200), vectors=generator.normal(size=(160, DIM))
            )
        },
    )
    plain = case.export(tmp_path / "plain")

    turned = case.with_export(align_to_previous=True).export(tmp_path / "bundle")

    rhs = np.arange(70)
    assert not np.allclose(_vectors(turned, "user"), _vectors(plain, "user"), atol=0.1)
    for relation, side in (("buys", Side.RHS), ("views", Side.LHS)):
        scores = []
        for bundle in (plain, turned):
            known, candidates = ("user", "item")[:: 1 if side is Side.RHS else -1]
            vector = bundle.vectors(known, bundle.find(known, np.array([3])))
            query = make_query(bundle, relation, side, vector)
            rows = bundle.find(candidates, rhs)
            scores.append(score_rows(bundle, query, candidates, rows))
        assert np.allclose(scores[0], scores[1], atol=1e-4)


def test_first_version_is_exported_as_it_is(tmp_path: Path) -> None:
    case = encoded_case(tmp_path).with_export(align_to_previous=True)

    bundle = case.export(tmp_path / "bundle")

    assert (_vectors(bundle, "item") == case.model.tables["item"].numpy()).all()


def test_version_of_another_dimension_is_refused(tmp_path: Path) -> None:
    case = encoded_case(tmp_path).with_export(align_to_previous=True)
    table = TableForTest(ids=[1], vectors=[[1.0, 2.0]])
    write_bundle_for_test(tmp_path / "bundle", {"user": table})

    with pytest.raises(BundleError, match="has vectors of 2 numbers, now they have 8"):
        case.export(tmp_path / "bundle")


def test_version_of_other_ids_is_refused(tmp_path: Path) -> None:
    case = encoded_case(tmp_path).with_export(align_to_previous=True)
    table = TableForTest(ids=["a"], vectors=[[1.0] * DIM])
    write_bundle_for_test(tmp_path / "bundle", {"user": table})

    with pytest.raises(BundleError, match="integers in one, text in the other"):
        case.export(tmp_path / "bundle")
