# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Adds retrieval indexes to bundles made for tests."""

from pathlib import Path

from google.protobuf import json_format

from twhin.bundle import kinds, versions
from twhin.bundle.bundle import Bundle
from twhin.bundle.kinds import IndexKind
from twhin.bundle.manifest import MANIFEST_FILE
from twhin.bundle.mapped_table import MappedTable
from twhin.retrieval.index_builder import build_index, index_path
from twhin.v1 import bundle_pb2

_BLOCK_ROWS = 1000


def add_index_for_test(
    path: Path,
    entity_type: str,
    kind: IndexKind = IndexKind.EXACT_FP16,
    *,
    num_lists: int = 0,
    num_probes: int = 0,
) -> None:
    """Builds the index of an entity type and enters it in the manifest.

    Args:
      path: The root of a bundle, or the folder of a version.
      entity_type: The entity type.
      kind: The form of the index.
      num_lists: The number of inverted lists, for forms that have them.
      num_probes: The number that a search visits.
    """
    folder = versions.version_folder(path)
    bundle = Bundle.open(folder)
    manifest = bundle.manifest
    entry = manifest.indexes.add(
        entity_type=entity_type,
        kind=kinds.to_proto(kind, bundle_pb2.IndexKind),
        num_lists=num_lists,
        num_probes=num_probes,
        recall_at_100=1.0,
    )
    (written,) = (t for t in manifest.tables if t.entity_type == entity_type)
    for shard in range(bundle.num_shards):
        table = MappedTable(folder, written, dim=bundle.dim, shards=[shard])
        file = build_index(
            kind,
            bundle.comparator,
            (block for _, block in table.blocks(_BLOCK_ROWS)),
            dim=bundle.dim,
            num_lists=num_lists,
            folder=folder,
            path=index_path(entity_type, shard, bundle.num_shards),
        )
        entry.shards.append(file)
    text = json_format.MessageToJson(manifest, preserving_proto_field_name=True)
    (folder / MANIFEST_FILE).write_text(text)
