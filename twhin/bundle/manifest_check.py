# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that a manifest describes a bundle, before any file is mapped."""

from collections.abc import Iterable
from typing import Any

from twhin import scoring
from twhin.bundle import kinds
from twhin.bundle.kinds import IndexKind
from twhin.bundle.row_format import RowFormat, row_width, storage_dtype
from twhin.errors import BundleError
from twhin.scoring import Comparator, Operator
from twhin.v1 import bundle_pb2, graph_pb2, train_config_pb2

_MAX_BUCKET_BITS = 32
_PARAMETER_BYTES = 4


def check_manifest(manifest: bundle_pb2.BundleManifest, where: str) -> None:
    """Checks every field.

    Args:
      manifest: The manifest.
      where: Where it is from, for errors.

    Raises:
      BundleError: Names the first field that is wrong.
    """
    try:
        _check(manifest)
    except BundleError as err:
        raise BundleError(f"{where}: {err}") from err


def _check(manifest: bundle_pb2.BundleManifest) -> None:
    for name in ("version", "num_shards", "embedding_dim"):
        _check_range(name, getattr(manifest, name), 1)
    _check_kind("comparator", Comparator, train_config_pb2.Comparator, manifest)
    _check_unique("tables", (table.entity_type for table in manifest.tables))
    _check_unique("relations", (relation.name for relation in manifest.relations))
    _check_unique("indexes", (index.entity_type for index in manifest.indexes))
    for number, table in enumerate(manifest.tables):
        _check_table(f"tables[{number}]", table, manifest)
    known = {table.entity_type for table in manifest.tables}
    if manifest.HasField("relation_parameters"):
        _check_file("relation_parameters", manifest.relation_parameters)
    for number, relation in enumerate(manifest.relations):
        _check_relation(f"relations[{number}]", relation, manifest, known)
    for number, index in enumerate(manifest.indexes):
        _check_index(f"indexes[{number}]", index, manifest, known)


def _check_table(
    where: str, table: bundle_pb2.BundleTable, manifest: bundle_pb2.BundleManifest
) -> None:
    _check_range(f"{where}.num_rows", table.num_rows, 0)
    row_format = _check_kind(
        f"{where}.row_format", RowFormat, bundle_pb2.RowFormat, table
    )
    row_bytes = (
        row_width(row_format, manifest.embedding_dim)
        * storage_dtype(row_format).itemsize
    )
    _check_length(f"{where}.shards", table.shards, manifest.num_shards)
    row = 0
    for number, shard in enumerate(table.shards):
        place = f"{where}.shards[{number}]"
        if shard.start_row != row or shard.stop_row < row:
            raise BundleError(
                f"{place}: has rows {shard.start_row} to {shard.stop_row}; expected"
                f" them to begin at {row}"
            )
        row = shard.stop_row
        size_bytes = (shard.stop_row - shard.start_row) * row_bytes
        _check_file(f"{place}.file", shard.file, size_bytes)
    if row != table.num_rows:
        raise BundleError(f"{where}.shards: end at row {row} of {table.num_rows}")
    _check_ids(f"{where}.ids", table.ids, table.num_rows)


def _check_ids(where: str, ids: bundle_pb2.BundleIds, num_rows: int) -> None:
    _check_range(f"{where}.hash_seed", ids.hash_seed, 0)
    _check_range(f"{where}.num_bucket_bits", ids.num_bucket_bits, 0, _MAX_BUCKET_BITS)
    _check_range(f"{where}.max_bucket_rows", ids.max_bucket_rows, 0, num_rows)
    _check_file(f"{where}.keys", ids.keys, 8 * num_rows)
    num_buckets = 1 << ids.num_bucket_bits
    _check_file(f"{where}.buckets", ids.buckets, 8 * (num_buckets + 1))
    if ids.id_type == bundle_pb2.ID_TYPE_STRING:
        _check_file(f"{where}.offsets", ids.offsets, 8 * (num_rows + 1))
        _check_file(f"{where}.words", ids.words)
        if ids.words.size_bytes % 8:
            raise BundleError(f"{where}.words.size_bytes: is no multiple of 8")
    elif ids.id_type != bundle_pb2.ID_TYPE_INT64:
        raise BundleError(f"{where}.id_type: is {ids.id_type}; allowed: int64, string")


def _check_relation(
    where: str,
    relation: bundle_pb2.BundleRelation,
    manifest: bundle_pb2.BundleManifest,
    known: set[str],
) -> None:
    _check_known(f"{where}.lhs", relation.lhs, known)
    _check_known(f"{where}.rhs", relation.rhs, known)
    operator = _check_kind(f"{where}.operator", Operator, graph_pb2.Operator, relation)
    expected = scoring.num_parameters(operator, manifest.embedding_dim)
    if relation.num_parameters != expected:
        raise BundleError(
            f"{where}.num_parameters: is {relation.num_parameters}; expected {expected}"
        )
    num_stored = manifest.relation_parameters.size_bytes // _PARAMETER_BYTES
    starts = {"parameters_start": relation.parameters_start}
    if relation.HasField("reciprocal_parameters_start"):
        starts["reciprocal_parameters_start"] = relation.reciprocal_parameters_start
    for name, start in starts.items():
        _check_range(f"{where}.{name}", start, 0, num_stored - expected)


def _check_index(
    where: str,
    index: bundle_pb2.BundleIndex,
    manifest: bundle_pb2.BundleManifest,
    known: set[str],
) -> None:
    _check_known(f"{where}.entity_type", index.entity_type, known)
    kind = _check_kind(f"{where}.kind", IndexKind, bundle_pb2.IndexKind, index)
    _check_length(f"{where}.shards", index.shards, manifest.num_shards)
    for number, file in enumerate(index.shards):
        _check_file(f"{where}.shards[{number}]", file)
    if kind is not IndexKind.EXACT_FP16:
        _check_range(f"{where}.num_lists", index.num_lists, 1)
        _check_range(f"{where}.num_probes", index.num_probes, 1, index.num_lists)
        _check_range(
            f"{where}.relation_num_probes",
            index.relation_num_probes,
            0,
            index.num_lists,
        )
    for name in ("recall_at_100", "relation_recall_at_100"):
        recall = getattr(index, name)
        if not 0 <= recall <= 1:
            raise BundleError(f"{where}.{name}: is {recall}; allowed: 0 to 1")


def _check_file(
    where: str, file: bundle_pb2.BundleFile, size_bytes: int | None = None
) -> None:
    parts = file.path.split("/")
    if not all(parts) or {".", ".."} & set(parts) or "\0" in file.path:
        raise BundleError(f"{where}.path: is {file.path!r}; allowed: a relative path")
    _check_range(f"{where}.size_bytes", file.size_bytes, 0)
    if size_bytes is not None and file.size_bytes != size_bytes:
        raise BundleError(
            f"{where}.size_bytes: is {file.size_bytes}; expected {size_bytes}"
        )
    _check_range(f"{where}.crc32", file.crc32, 0, (1 << 32) - 1)


def _check_kind(
    where: str, choices: type[kinds.Kind], names: Any, message: Any
) -> kinds.Kind:
    """Returns the choice in the field of `message` that `where` ends with."""
    number = getattr(message, where.rsplit(".", 1)[-1])
    return kinds.from_proto(choices, names, number, where)


def _check_range(where: str, value: int, low: int, high: int | None = None) -> None:
    if value < low or (high is not None and value > high):
        allowed = f"at least {low}" if high is None else f"{low} to {high}"
        raise BundleError(f"{where}: is {value}; allowed: {allowed}")


def _check_length(where: str, values: Any, expected: int) -> None:
    if len(values) != expected:
        raise BundleError(f"{where}: has {len(values)} entries; expected {expected}")


def _check_known(where: str, name: str, known: set[str]) -> None:
    if name not in known:
        raise BundleError(f"{where}: is {name!r}; known: {sorted(known)}")


def _check_unique(where: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not name or name in seen:
            raise BundleError(f"{where}: has {name!r} twice or empty; allowed: once")
        seen.add(name)
