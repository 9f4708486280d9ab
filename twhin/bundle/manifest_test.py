# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that a manifest comes back, and that a wrong one is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twhin.bundle.manifest import MANIFEST_FILE, read_manifest
from twhin.errors import BundleError
from twhin.scoring import Operator
from twhin.testing.small_bundle import (
    RelationForTest,
    TableForTest,
    write_bundle_for_test,
)
from twhin.v1 import bundle_pb2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A version with two tables, a relation and the entry of an index."""
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    version = write_bundle_for_test(
        tmp_path,
        {
            "user": TableForTest(ids=[5, 6, 7], vectors=vectors),
            "tweet": TableForTest(ids=["a", "b", "c"], vectors=vectors),
        },
        [
            RelationForTest(
                name="likes",
                lhs="user",
                rhs="tweet",
                operator=Operator.TRANSLATION,
                parameters=[1, 2, 3, 4],
                reciprocal_parameters=[5, 6, 7, 8],
            )
        ],
        num_shards=2,
    )
    path = tmp_path / version / MANIFEST_FILE
    tree = json.loads(path.read_text())
    tree["indexes"] = [
        {
            "entity_type": "user",
            "kind": "INDEX_KIND_IVF_FP16",
            "num_lists": 4,
            "num_probes": 2,
            "recall_at_100": 0.97,
            "shards": [{"path": "a", "size_bytes": 1}, {"path": "b", "size_bytes": 1}],
        }
    ]
    path.write_text(json.dumps(tree))
    return tmp_path / version


def test_manifest_says_what_was_written(folder: Path) -> None:
    manifest = read_manifest(folder)

    assert (manifest.format_version, manifest.version) == (1, 1)
    assert (manifest.num_shards, manifest.embedding_dim) == (2, 4)
    assert [t.entity_type for t in manifest.tables] == ["user", "tweet"]
    assert [t.num_rows for t in manifest.tables] == [3, 3]
    assert manifest.tables[1].ids.id_type == bundle_pb2.ID_TYPE_STRING
    (relation,) = manifest.relations
    assert (relation.parameters_start, relation.num_parameters) == (0, 4)
    assert relation.reciprocal_parameters_start == 4
    assert manifest.relation_parameters.size_bytes == 32
    assert manifest.create_time.seconds > 0


def _set(*path: str | int, value: Any) -> Callable[[Any], None]:
    def change(tree: Any) -> None:
        for step in path[:-1]:
            tree = tree[step]
        tree[path[-1]] = value

    return change


_SHARD = ("tables", 0, "shards", 1)
_IDS = ("tables", 0, "ids")
_INDEX = ("indexes", 0)
_RELATION = ("relations", 0)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_set("format_version", value=2), "format_version: is 2; allowed: 1"),
        (_set("version", value=0), "version: is 0; allowed: at least 1"),
        (_set("num_shards", value=3), "tables[0].shards: has 2 entries; expected 3"),
        (_set("num_shards", value=0), "num_shards: is 0; allowed: at least 1"),
        (_set("embedding_dim", value=8), "size_bytes: is "),
        (
            _set("comparator", value="COMPARATOR_UNSPECIFIED"),
            "comparator: is 0; allowed: dot, ",
        ),
        (_set("comparator", value=99), "comparator: is 99; allowed: dot, "),
        (_set("comparator", value="NEAR"), "is damaged: "),
        (_set("new_field", value=1), "is damaged: "),
        (_set("tables", 1, "entity_type", value="user"), "tables: has 'user' twice"),
        (_set("tables", 0, "num_rows", value=4), "tables[0].shards: end at row 3 of 4"),
        (
            _set("tables", 0, "row_format", value=0),
            "tables[0].row_format: is 0; allowed",
        ),
        (_set(*_SHARD, "start_row", value=0), "tables[0].shards[1]: has rows 0 to 3"),
        (_set(*_SHARD, "file", "path", value="/etc/passwd"), "path: is '/etc/passwd'"),
        (_set(*_SHARD, "file", "path", value="a/../../b"), "path: is 'a/../../b'"),
        (
            _set(*_SHARD, "file", "path", value=""),
            "path: is ''; allowed: a relative path",
        ),
        (
            _set(*_SHARD, "file", "crc32", value=-1),
            "crc32: is -1; allowed: 0 to 4294967295",
        ),
        (_set(*_IDS, "id_type", value="ID_TYPE_UNSPECIFIED"), "id_type: is 0; allowed"),
        (
            _set(*_IDS, "num_bucket_bits", value=33),
            "num_bucket_bits: is 33; allowed: 0 to 32",
        ),
        (
            _set(*_IDS, "max_bucket_rows", value=4),
            "max_bucket_rows: is 4; allowed: 0 to 3",
        ),
        (
            _set(*_IDS, "keys", "size_bytes", value=16),
            "keys.size_bytes: is 16; expected 24",
        ),
        (
            _set("tables", 1, "ids", "words", "size_bytes", value=9),
            "is no multiple of 8",
        ),
        (_set(*_RELATION, "lhs", value="usr"), "relations[0].lhs: is 'usr'; known: "),
        (_set(*_RELATION, "operator", value="OPERATOR_LINEAR"), "is 4; expected 16"),
        (
            _set(*_RELATION, "parameters_start", value=5),
            "parameters_start: is 5; allowed: 0 to 4",
        ),
        (_set(*_RELATION, "name", value=""), "relations: has '' twice or empty"),
        (
            _set(*_INDEX, "entity_type", value="x"),
            "indexes[0].entity_type: is 'x'; known",
        ),
        (
            _set(*_INDEX, "shards", value=[]),
            "indexes[0].shards: has 0 entries; expected 2",
        ),
        (_set(*_INDEX, "num_probes", value=5), "num_probes: is 5; allowed: 1 to 4"),
        (
            _set(*_INDEX, "relation_num_probes", value=5),
            "relation_num_probes: is 5; allowed: 0 to 4",
        ),
        (
            _set(*_INDEX, "relation_recall_at_100", value=-0.5),
            "relation_recall_at_100: is -0.5; allowed: 0 to 1",
        ),
        (
            _set(*_INDEX, "recall_at_100", value=1.5),
            "recall_at_100: is 1.5; allowed: 0 to 1",
        ),
    ],
)
def test_a_wrong_field_is_named(
    folder: Path, change: Callable[[Any], None], fault: str
) -> None:
    path = folder / MANIFEST_FILE
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))

    with pytest.raises(BundleError) as caught:
        read_manifest(folder)

    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert fault in message
    assert "\n" not in message


@pytest.mark.parametrize("size", [0, 1, 100, 1000])
def test_a_truncated_manifest_is_refused(folder: Path, size: int) -> None:
    path = folder / MANIFEST_FILE
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(BundleError, match="is damaged: "):
        read_manifest(folder)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b"7", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(folder: Path, content: bytes) -> None:
    (folder / MANIFEST_FILE).write_bytes(content)

    with pytest.raises(BundleError, match=r"is damaged|format_version: is None"):
        read_manifest(folder)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read: No such file"):
        read_manifest(tmp_path)
