# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Bundles of generated vectors, as large as the measurements of a server need."""

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from google.protobuf import json_format

from twhin.bundle import id_writer, kinds, table_writer, versions
from twhin.bundle.bundle import Bundle
from twhin.bundle.kinds import IndexKind
from twhin.bundle.manifest import MANIFEST_FILE
from twhin.bundle.new_version import NewVersion
from twhin.bundle.row_format import RowFormat, encode_rows
from twhin.retrieval import index_choice
from twhin.retrieval.calibration import (
    Calibration,
    relation_queries,
    row_queries,
)
from twhin.scoring import Comparator, Operator
from twhin.testing.small_bundle import (
    RelationForTest,
    TableForTest,
    write_bundle_for_test,
)
from twhin.testing.small_index import add_index_for_test
from twhin.v1 import bundle_pb2, train_config_pb2

ENTITY_TYPE = "item"
RELATION = "likes"
_BLOCK_ROWS = 1 << 16
_NUM_CENTRES = 2000
_MIN_RECALL = 0.95


def write_lookup_bundle(
    root: Path,
    num_rows: int,
    dim: int,
    *,
    base: float,
    num_shards: int = 1,
    row_format: RowFormat = RowFormat.FLOAT32,
) -> str:
    """Writes the next version of rows that all end with `base`.

    Ids are 0 to num_rows - 1. Memory does not grow with the rows.

    Returns:
      The version.
    """
    with NewVersion(root) as version:
        manifest = bundle_pb2.BundleManifest(
            num_shards=num_shards,
            embedding_dim=dim,
            comparator=kinds.to_proto(Comparator.DOT, train_config_pb2.Comparator),
        )
        ids = np.arange(num_rows, dtype=np.int64)
        written = id_writer.write_ids(version.folder, ENTITY_TYPE, ids)
        bounds = id_writer.shard_bounds(written.keys, num_shards).tolist()
        manifest.tables.add(
            entity_type=ENTITY_TYPE,
            num_rows=num_rows,
            row_format=kinds.to_proto(row_format, bundle_pb2.RowFormat),
            ids=written.entry,
            shards=[
                table_writer.write_shard(
                    version.folder,
                    table_writer.shard_path(ENTITY_TYPE, shard, num_shards),
                    start,
                    (
                        encode_rows(block, row_format)
                        for block in _blocks(start, stop, dim, base)
                    ),
                )
                for shard, (start, stop) in enumerate(itertools.pairwise(bounds))
            ],
        )
        return version.publish(manifest, keep_last=2)


def write_retrieval_bundle(root: Path, num_rows: int, dim: int) -> None:
    """Writes clustered items with an inverted file, and users who like them.

    A user stands where training would put it: a translation away from a cluster.
    """
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(_NUM_CENTRES, dim)).astype(np.float32)
    translation = rng.normal(size=dim).astype(np.float32)
    items, users = (
        centres[rng.integers(0, _NUM_CENTRES, size)]
        + rng.normal(scale=0.5, size=(size, dim)).astype(np.float32)
        for size in (num_rows, max(num_rows // 20, 1))
    )
    write_bundle_for_test(
        root,
        {
            ENTITY_TYPE: TableForTest(ids=np.arange(num_rows), vectors=items),
            "user": TableForTest(
                ids=np.arange(len(users)), vectors=users - translation
            ),
        },
        [
            RelationForTest(
                name=RELATION,
                lhs="user",
                rhs=ENTITY_TYPE,
                operator=Operator.TRANSLATION,
                parameters=translation,
            )
        ],
    )
    num_lists = index_choice.choose_num_lists([num_rows])
    add_index_for_test(
        root, ENTITY_TYPE, IndexKind.IVF_FP16, num_lists=num_lists, num_probes=1
    )
    bundle = Bundle.open(root)
    (index,) = bundle.manifest.indexes
    for queries, probes, recall in (
        (row_queries(bundle, ENTITY_TYPE), "num_probes", "recall_at_100"),
        (
            relation_queries(bundle, ENTITY_TYPE),
            "relation_num_probes",
            "relation_recall_at_100",
        ),
    ):
        assert queries is not None
        measured = Calibration(bundle, ENTITY_TYPE, queries)
        chosen = measured.choose_num_probes(_MIN_RECALL)
        setattr(index, probes, chosen[0])
        setattr(index, recall, chosen[1])
    _write_manifest(bundle)


def write_exact_copy(path: Path, target: Path, entity_type: str) -> None:
    """Copies a version of a bundle, with an exact fp16 index in place of its own.

    Args:
      path: The root of the bundle, or the folder of the version.
      target: The root of the copy; its files are links where they can be.
      entity_type: The type that gets the index.
    """
    folder = versions.version_folder(path)
    target.mkdir(parents=True)
    copied = target / folder.name
    shutil.copytree(folder, copied, copy_function=_link)
    bundle = Bundle.open(copied)
    del bundle.manifest.indexes[:]
    _write_manifest(bundle)
    shutil.rmtree(copied / "indexes")
    add_index_for_test(copied, entity_type, IndexKind.EXACT_FP16)
    versions.set_current(target, folder.name)


def _write_manifest(bundle: Bundle) -> None:
    text = json_format.MessageToJson(bundle.manifest, preserving_proto_field_name=True)
    path = bundle.folder / MANIFEST_FILE
    # Not in place: the file may be a link.
    path.unlink()
    path.write_text(text)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _blocks(
    start: int, stop: int, dim: int, base: float
) -> Iterator[npt.NDArray[np.float32]]:
    rng = np.random.default_rng(start)
    block = rng.normal(size=(_BLOCK_ROWS, dim)).astype(np.float32)
    block[:, -1] = base
    for first in range(start, stop, _BLOCK_ROWS):
        rows = block[: min(_BLOCK_ROWS, stop - first)]
        rows[:, 0] = np.arange(first, first + len(rows)) % 1000 / 1000
        yield rows
