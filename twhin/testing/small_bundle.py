# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes small bundles out of arrays, for tests."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twhin.bundle import id_writer, kinds, table_writer
from twhin.bundle.new_version import NewVersion
from twhin.bundle.relation import BundleRelation
from twhin.bundle.relation_writer import write_relations
from twhin.bundle.row_format import RowFormat, encode_rows
from twhin.bundle.utf8_ids import Utf8Ids
from twhin.scoring import Comparator, Operator
from twhin.v1 import bundle_pb2, train_config_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class TableForTest:
    """A table: n ids, int or str, and their vectors, float32 [n, D]."""

    ids: Sequence[int] | Sequence[str] | npt.NDArray[np.int64]
    vectors: npt.ArrayLike


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationForTest:
    """A relation; parameters as in `BundleRelation`."""

    name: str
    lhs: str
    rhs: str
    operator: Operator = Operator.IDENTITY
    parameters: npt.ArrayLike | None = None
    reciprocal_parameters: npt.ArrayLike | None = None


def write_bundle_for_test(
    root: Path,
    tables: Mapping[str, TableForTest],
    relations: Sequence[RelationForTest] = (),
    *,
    comparator: Comparator = Comparator.DOT,
    num_shards: int = 1,
    row_format: RowFormat = RowFormat.FLOAT32,
    keep_last: int = 2,
) -> str:
    """Writes the next version of a bundle and makes it the one in use.

    Args:
      root: The root of the versions.
      tables: At least one, by entity type.
      relations: In the order of their indices.
      comparator: How queries are compared with candidates.
      num_shards: The number of shards.
      row_format: How rows are stored.
      keep_last: The number of versions to keep.

    Returns:
      The name of the version.
    """
    with NewVersion(root) as version:
        manifest = bundle_pb2.BundleManifest(
            num_shards=num_shards,
            comparator=kinds.to_proto(comparator, train_config_pb2.Comparator),
        )
        for name, table in tables.items():
            vectors = np.asarray(table.vectors, np.float32)
            manifest.embedding_dim = vectors.shape[1]
            _write_table(version.folder, name, table.ids, vectors, row_format, manifest)
        write_relations(version.folder, [_relation(r) for r in relations], manifest)
        return version.publish(manifest, keep_last=keep_last)


def _write_table(
    folder: Path,
    name: str,
    ids: Any,
    vectors: npt.NDArray[np.float32],
    row_format: RowFormat,
    manifest: bundle_pb2.BundleManifest,
) -> None:
    is_string = len(ids) > 0 and isinstance(ids[0], str)
    written = id_writer.write_ids(
        folder,
        name,
        Utf8Ids.from_strings(ids) if is_string else np.asarray(ids, np.int64),
    )
    bounds = id_writer.shard_bounds(written.keys, manifest.num_shards).tolist()
    rows = encode_rows(vectors[written.order], row_format)
    manifest.tables.add(
        entity_type=name,
        num_rows=len(rows),
        row_format=kinds.to_proto(row_format, bundle_pb2.RowFormat),
        ids=written.entry,
        shards=[
            table_writer.write_shard(
                folder,
                table_writer.shard_path(name, shard, manifest.num_shards),
                start,
                [rows[start:stop]],
            )
            for shard, (start, stop) in enumerate(itertools.pairwise(bounds))
        ],
    )


def _relation(relation: RelationForTest) -> BundleRelation:
    parameters = () if relation.parameters is None else relation.parameters
    reciprocal = relation.reciprocal_parameters
    return BundleRelation(
        name=relation.name,
        lhs=relation.lhs,
        rhs=relation.rhs,
        operator=relation.operator,
        parameters=np.asarray(parameters, np.float32).reshape(-1),
        reciprocal_parameters=None
        if reciprocal is None
        else np.asarray(reciprocal, np.float32).reshape(-1),
    )
