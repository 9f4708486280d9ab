# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that other forms read back as the vectors and ids that were trained."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format
from safetensors import safe_open
from tensorboard.plugins.projector.projector_config_pb2 import (  # type: ignore[import-untyped]
    ProjectorConfig,
)

from twhin.bundle.bundle import Bundle
from twhin.config.settings import IndexChoice
from twhin.export import projector_files
from twhin.export.other_forms import OtherForm
from twhin.testing.export_case import DIM, ExportCase, prepared_case

_TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# user 0 has the most edges; ids with a tab, and beyond ASCII.
_EDGES = [
    (f"user\t{row}" if row else "us\u00e9r", "buys", 100 + item)
    for row in range(12)
    for item in range(12 - row)
]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> ExportCase:
    folder = tmp_path_factory.mktemp("case")
    return prepared_case(folder, _EDGES).with_export(
        num_shards=2, index=IndexChoice.NONE
    )


@pytest.fixture(scope="module")
def bundle(case: ExportCase, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = tmp_path_factory.mktemp("bundle")
    return case.export(root, forms=tuple(OtherForm), create_time=_TIME)


def _trained(case: ExportCase, entity_type: str) -> dict[object, list[float]]:
    """Returns the trained vector of each id."""
    ids = case.graph.load_vocabulary(entity_type)["id"].to_pylist()
    return dict(zip(ids, case.model.tables[entity_type].tolist(), strict=True))


@pytest.mark.parametrize("entity_type", ["user", "item"])
def test_parquet_has_the_original_ids(
    case: ExportCase, bundle: Bundle, entity_type: str
) -> None:
    table = pq.read_table(bundle.folder / "parquet" / f"{entity_type}.parquet")

    ids = table[f"{entity_type}_id"].to_pylist()
    vectors = table["embedding"].to_pylist()
    assert dict(zip(ids, vectors, strict=True)) == _trained(case, entity_type)
    assert table.schema.field(1).type == pa.timestamp("us", tz="UTC")
    assert set(table["event_timestamp"].to_pylist()) == {_TIME}
    assert table.schema.metadata[b"twhin.version"] == b"v000001"


def test_safetensors_has_integer_ids(case: ExportCase, bundle: Bundle) -> None:
    path = bundle.folder / "safetensors" / "item.safetensors"
    with safe_open(path, framework="np") as file:
        ids, vectors = file.get_tensor("ids"), file.get_tensor("embeddings")
        metadata = file.metadata()

    found = dict(zip(ids.tolist(), vectors.tolist(), strict=True))
    assert found == _trained(case, "item")
    assert vectors.dtype == np.float32
    assert metadata == {"version": "v000001", "entity_type": "item"}


def test_safetensors_has_string_ids(case: ExportCase, bundle: Bundle) -> None:
    path = bundle.folder / "safetensors" / "user.safetensors"
    with safe_open(path, framework="np") as file:
        offsets = file.get_tensor("id_offsets").tolist()
        text = file.get_tensor("id_bytes").tobytes()
        vectors = file.get_tensor("embeddings").tolist()

    ids = [text[start:stop].decode() for start, stop in itertools.pairwise(offsets)]
    assert dict(zip(ids, vectors, strict=True)) == _trained(case, "user")


def test_projector_files_are_what_tensorboard_reads(
    case: ExportCase, bundle: Bundle
) -> None:
    folder = bundle.folder / "projector"
    config = text_format.Parse(
        (folder / "projector_config.pbtxt").read_text(), ProjectorConfig()
    )

    assert [e.tensor_name for e in config.embeddings] == ["user", "item"]
    trained = _trained(case, "item")
    embedding = config.embeddings[1]
    vectors = np.loadtxt(folder / embedding.tensor_path, delimiter="\t")
    lines = (folder / embedding.metadata_path).read_text().splitlines()
    assert lines[0] == "id\tdegree"
    ids = [int(line.split("\t")[0]) for line in lines[1:]]
    expected = np.array([trained[entity_id] for entity_id in ids])
    assert vectors.shape == (12, DIM)
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-5)


def test_projector_takes_the_entities_with_the_most_edges(
    case: ExportCase,
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(projector_files, "_MAX_ROWS", 3)
    degrees = np.empty(12, np.int64)
    ids = case.graph.load_vocabulary("user")["id"].to_pylist()
    degrees[bundle.find("user", ids)] = case.graph.load_degrees("user")

    projector_files.write_projector(bundle, "user", tmp_path, degrees)

    lines = (tmp_path / "user_metadata.tsv").read_text().splitlines()
    assert lines == ["id\tdegree", "us\u00e9r\t12", "user 1\t11", "user 2\t10"]
    assert len((tmp_path / "user.tsv").read_text().splitlines()) == 3
