# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that manifests survive JSON, and that others are refused."""

import json
from pathlib import Path

import pytest

from twhin.errors import DataError
from twhin.graph.manifest import MANIFEST_FILE, GraphManifest, load_manifest
from twhin.testing.prepare_case import USER_TWEET, PrepareCase


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    case = PrepareCase(tmp_path)
    case.write_edges("train.parquet", [("ann", "likes", "t1")])
    return case


@pytest.fixture
def manifest(case: PrepareCase) -> GraphManifest:
    return case.prepare(USER_TWEET, "data: {raw: {train: {paths: train.parquet}}}")


def change(folder: Path, **fields: object) -> None:
    path = folder / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_manifest_survives_json(case: PrepareCase, manifest: GraphManifest) -> None:
    assert load_manifest(str(case.folder / "prepared")) == manifest


def test_vocabulary_is_found_by_entity_type(manifest: GraphManifest) -> None:
    assert manifest.vocabulary("tweet").num_ids == 1
    with pytest.raises(KeyError):
        manifest.vocabulary("list")


def test_folder_without_a_manifest_is_no_prepared_graph(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'manifest.json' cannot be read \(No such"):
        load_manifest(str(tmp_path))


@pytest.mark.usefixtures("manifest")
def test_other_format_versions_are_refused(case: PrepareCase) -> None:
    change(case.folder / "prepared", format_version=2)

    with pytest.raises(
        DataError, match=r"format version 2; allowed: 1; run //twhin:pr"
    ):
        load_manifest(str(case.folder / "prepared"))


@pytest.mark.usefixtures("manifest")
@pytest.mark.parametrize(
    "fields", [{"schema": {}}, {"splits": []}, {"weighted": "no"}, {"digest": None}]
)
def test_damaged_fields_are_refused(
    case: PrepareCase, fields: dict[str, object]
) -> None:
    change(case.folder / "prepared", **fields)

    with pytest.raises(
        DataError, match=r"manifest.json: damaged: .*; allowed: the fie"
    ):
        load_manifest(str(case.folder / "prepared"))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_text_that_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST_FILE).write_text(text)

    with pytest.raises(DataError, match=r"manifest.json: not a manifest"):
        load_manifest(str(tmp_path))
