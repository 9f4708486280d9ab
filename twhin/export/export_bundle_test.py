# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks exports: every vector under its id, on any number of ranks, or nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twhin.bundle import versions
from twhin.bundle.bundle import Bundle
from twhin.config.settings import ExportFormat, IndexChoice
from twhin.errors import BundleError, CheckpointError
from twhin.export.export_bundle import export_bundle
from twhin.export.other_forms import OtherForm
from twhin.retrieval.relation_query import make_query
from twhin.retrieval.retriever import Retriever
from twhin.side import Side
from twhin.testing.export_case import ExportCase, encoded_case, prepared_case
from twhin.v1 import bundle_pb2

_TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("num_shards", [1, 4])
def test_every_vector_lies_under_its_id(tmp_path: Path, num_shards: int) -> None:
    case = encoded_case(tmp_path).with_export(num_shards=num_shards)

    bundle = case.export(tmp_path / "bundle", metrics={"test/mrr": 0.25})

    bundle.verify()
    for entity_type, rows in case.model.tables.items():
        found = bundle.find(entity_type, np.arange(len(rows)))
        assert (bundle.vectors(entity_type, found) == rows.numpy()).all()
    manifest = bundle.manifest
    assert (manifest.config_digest, manifest.step) == ("c0ffee", 17)
    assert dict(manifest.metrics) == {"test/mrr": 0.25}
    assert list(bundle.relations) == ["follows", "buys", "views"]
    names = {path.name for path in bundle.folder.iterdir()}
    assert names == {"manifest.json", "tables", "ids", "relations", "indexes"}


def test_entities_that_were_not_trained_get_vectors_too(tmp_path: Path) -> None:
    case = encoded_case(tmp_path)
    edges = tmp_path / "unseen.parquet"
    columns = {"id": [900], "relation": ["follows"], "other": [3], "side": ["rhs"]}
    pq.write_table(pa.table(columns), edges)

    bundle = case.export(tmp_path / "bundle", unseen_edges={"user": edges})

    table = pq.read_table(bundle.folder / "unseen/user.parquet")
    assert table["user_id"].to_pylist() == [900]
    # The relation is the identity.
    expected = case.model.tables["user"][3].tolist()
    assert table["embedding"].to_pylist() == [expected]


def test_string_ids_keep_their_vectors(tmp_path: Path) -> None:
    edges = [(f"user {n % 40}", "buys", n % 7) for n in range(200)]
    case = prepared_case(tmp_path, edges)

    bundle = case.export(tmp_path / "bundle")

    for entity_type in ("user", "item"):
        ids = case.graph.load_vocabulary(entity_type)["id"].to_pylist()
        rows = bundle.find(entity_type, ids)
        expected = case.model.tables[entity_type].numpy()
        assert (bundle.vectors(entity_type, rows) == expected).all()


def test_a_row_that_rare_entities_share_is_left_out(tmp_path: Path) -> None:
    edges = [("ann", "buys", 1), ("ann", "buys", 2), ("bob", "buys", 1)]
    types = "[{name: user, min_degree: 2, rare_entities: shared_row}, {name: item}]"
    case = prepared_case(tmp_path, edges, types)
    assert len(case.model.tables["user"]) == 2

    bundle = case.export(tmp_path / "bundle")

    assert bundle.tables["user"].num_rows == 1
    (row,) = bundle.vectors("user", bundle.find("user", ["ann"]))
    assert (row == case.model.tables["user"][0].numpy()).all()
    assert bundle.find("user", ["bob"]).tolist() == [-1]


@pytest.mark.parametrize("row_format", list(ExportFormat))
def test_rows_are_stored_as_asked(tmp_path: Path, row_format: ExportFormat) -> None:
    case = encoded_case(tmp_path).with_export(row_format=row_format)

    bundle = case.export(tmp_path / "bundle")

    rows = case.model.tables["user"].numpy()
    found = bundle.vectors("user", bundle.find("user", np.arange(len(rows))))
    bound = {"float32": 0.0, "float16": 0.002, "int8": 0.02}[row_format]
    assert np.abs(found - rows).max() <= bound
    assert str(bundle.tables["user"].row_format) == str(row_format)


def _export_on_ranks(case: ExportCase, root: Path, world_size: int) -> list[str | None]:
    barrier = threading.Barrier(world_size, timeout=60)

    def export(rank: int) -> str | None:
        return export_bundle(
            case.model,
            case.graph,
            case.settings,
            root,
            forms=tuple(OtherForm),
            rank=rank,
            world_size=world_size,
            barrier=barrier.wait,  # type: ignore[arg-type]
            create_time=_TIME,
        )

    with ThreadPoolExecutor(world_size) as pool:
        return list(pool.map(export, range(world_size)))


@pytest.mark.parametrize("index", [IndexChoice.AUTO, IndexChoice.IVF_FP16])
def test_ranks_together_write_what_one_writes(
    tmp_path: Path, index: IndexChoice
) -> None:
    case = encoded_case(tmp_path, num_users=5000).with_export(num_shards=3, index=index)
    names = [
        _export_on_ranks(case, tmp_path / str(world_size), world_size)
        for world_size in (1, 2, 3)
    ]

    assert names == [["v000001"], ["v000001", None], ["v000001", None, None]]
    one, *others = (tmp_path / name / "v000001" for name in "123")
    paths = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert len(paths) > 20
    for other in others:
        found = (p.relative_to(other) for p in other.rglob("*") if p.is_file())
        assert sorted(found) == paths
        for path in paths:
            assert (other / path).read_bytes() == (one / path).read_bytes(), path


def test_indexes_are_measured_and_reach_the_recall(tmp_path: Path) -> None:
    case = encoded_case(tmp_path, num_users=4000).with_export(
        index=IndexChoice.IVF_FP16, index_recall=0.9
    )

    bundle = case.export(tmp_path / "bundle")

    users, items = bundle.manifest.indexes
    assert users.kind == bundle_pb2.INDEX_KIND_IVF_FP16
    assert 0.9 <= users.recall_at_100 < 1
    assert 1 <= users.num_probes < users.num_lists
    # Both calibrated; the relations are those from items.
    assert 0.9 <= users.relation_recall_at_100 <= 1
    assert 1 <= users.relation_num_probes <= users.num_lists
    # 70 rows are too few for lists.
    assert items.kind == bundle_pb2.INDEX_KIND_EXACT_FP16
    assert items.recall_at_100 == items.relation_recall_at_100 == 1
    query = make_query(bundle, "buys", Side.LHS, bundle.vectors("item", np.arange(3)))
    found = Retriever(bundle).search("user", query, 5)
    assert found.counts.tolist() == [5, 5, 5]


def test_no_index_is_built_where_none_is_asked_for(tmp_path: Path) -> None:
    case = encoded_case(tmp_path).with_export(index=IndexChoice.NONE)

    bundle = case.export(tmp_path / "bundle")

    assert list(bundle.manifest.indexes) == []
    assert not Retriever(bundle).is_indexed("user")


def test_tables_are_read_in_bounded_memory(tmp_path: Path) -> None:
    case = encoded_case(tmp_path).with_export(num_shards=4, index=IndexChoice.NONE)
    user_bytes = 300 * 8 * 4

    bundle = case.export(tmp_path / "bundle", buffer_bytes=user_bytes // 3)

    passes = [each for each in case.model.reads if each[0] == "user"]
    rows = case.model.tables["user"].numpy()
    found = bundle.find("user", np.arange(300))
    assert len(passes) == 3
    assert (bundle.vectors("user", found) == rows).all()


def test_old_versions_go(tmp_path: Path) -> None:
    case = encoded_case(tmp_path).with_export(keep_last=2, index=IndexChoice.NONE)
    root = tmp_path / "bundle"

    found = [case.export(root).version for _ in range(3)]

    assert found == ["v000001", "v000002", "v000003"]
    assert versions.list_versions(root) == ("v000002", "v000003")


def test_a_failing_export_changes_nothing(tmp_path: Path) -> None:
    case = encoded_case(tmp_path)
    root = tmp_path / "bundle"
    case.export(root)

    def fail() -> None:
        raise CheckpointError("file.distcp: damaged")

    case.model.before_read = fail
    with pytest.raises(CheckpointError, match="damaged"):
        case.export(root)

    assert versions.list_versions(root) == ("v000001",)
    assert not (root / ".incomplete").exists()
    Bundle.open(root).verify()


def test_a_second_export_at_the_same_time_is_refused(tmp_path: Path) -> None:
    case, other = encoded_case(tmp_path), encoded_case(tmp_path)
    root = tmp_path / "bundle"
    refusals: list[object] = []

    def export_meanwhile() -> None:
        if not refusals:
            with pytest.raises(
                BundleError, match="another export is writing"
            ) as caught:
                other.export(root)
            refusals.append(caught)

    case.model.before_read = export_meanwhile

    assert case.export(root).version == "v000001"
    assert len(refusals) == 1


def test_a_checkpoint_with_fewer_rows_than_ids_is_refused(tmp_path: Path) -> None:
    case = encoded_case(tmp_path, num_users=300)
    smaller = encoded_case(tmp_path, num_users=299)

    with pytest.raises(CheckpointError, match="tables/user: has 299 rows for 300 ids"):
        export_bundle(smaller.model, case.graph, case.settings, tmp_path / "bundle")
