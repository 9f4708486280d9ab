# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Bundles of generated vectors, as large as the measurements of a server need."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twhin.bundle import id_writer, kinds, table_writer, versions
from twhin.bundle.bundle import Bundle
from twhin.bundle.kinds import Comparator, IndexKind
from twhin.bundle.new_version import NewVersion
from twhin.bundle.row_format import RowFormat, encode_rows
from twhin.retrieval.operators import Query
from twhin.retrieval.retriever import Retriever
from twhin.testing.small_bundle import TableForTest, write_bundle_for_test
from twhin.testing.small_index import add_index_for_test
from twhin.v1 import bundle_pb2, train_config_pb2

ENTITY_TYPE = "item"
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


def write_retrieval_bundles(folder: Path, num_rows: int, dim: int) -> dict[str, Path]:
    """Writes the same clustered vectors twice: with an exact and an IVF index.

    The inverted file visits as few lists as give the recall@100 of `_MIN_RECALL`.

    Returns:
      The roots by "exact_fp16" and "ivf_fp16".
    """
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(_NUM_CENTRES, dim)).astype(np.float32)
    vectors = centres[rng.integers(0, _NUM_CENTRES, num_rows)]
    vectors += rng.normal(scale=0.5, size=vectors.shape).astype(np.float32)
    table = TableForTest(ids=np.arange(num_rows), vectors=vectors)
    roots = {name: folder / name for name in ("exact_fp16", "ivf_fp16")}
    for root in roots.values():
        write_bundle_for_test(root, {ENTITY_TYPE: table})
    add_index_for_test(roots["exact_fp16"], ENTITY_TYPE, IndexKind.EXACT_FP16)
    num_lists = 1 << round(num_rows**0.5).bit_length()
    add_index_for_test(
        roots["ivf_fp16"],
        ENTITY_TYPE,
        IndexKind.IVF_FP16,
        num_lists=num_lists,
        num_probes=1,
    )
    _calibrate(roots["ivf_fp16"])
    return roots


def _calibrate(root: Path) -> None:
    folder = versions.version_folder(root)
    retriever = Retriever(Bundle.open(folder))
    bundle = Bundle.open(folder)
    rows = np.random.default_rng(4).choice(bundle.tables[ENTITY_TYPE].num_rows, 200)
    query = Query(vectors=bundle.vectors(ENTITY_TYPE, rows))
    truth = retriever.search(ENTITY_TYPE, query, 100, exact=True).rows
    for num_probes in (1, 2, 4, 8, 16, 32, 64, 128):
        found = retriever.search(ENTITY_TYPE, query, 100, num_probes=num_probes).rows
        hits = [np.isin(a, b).mean() for a, b in zip(truth, found, strict=True)]
        if np.mean(hits) >= _MIN_RECALL:
            break
    path = folder / "manifest.json"
    text = path.read_text()
    path.write_text(
        text.replace('"num_probes": 1,', f'"num_probes": {num_probes},').replace(
            '"recall_at_100": 1.0', f'"recall_at_100": {np.mean(hits)}'
        )
    )


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
