# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes the id directory of an entity type; see `id_directory`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twhin.bundle import id_hash
from twhin.bundle.file_writer import FileWriter, write_file
from twhin.bundle.id_hash import Int64Array, UInt64Array
from twhin.bundle.utf8_ids import PackedIds, Utf8Ids, pack_ids
from twhin.errors import BundleError
from twhin.v1 import bundle_pb2

_ROWS_PER_BUCKET = 2
_MAX_BUCKET_BITS = 32
# A second seed is needed once in 370,000 tables of ten million strings.
_NUM_SEEDS = 8
_BLOCK_ROWS = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenIds:
    """A directory that was written.

    Attributes:
      entry: What the manifest says about it.
      keys: uint64 [n], ascending: the key of each row.
      order: int64 [n]: row i has the id at position order[i] of those given.
    """

    entry: bundle_pb2.BundleIds
    keys: UInt64Array
    order: Int64Array


def write_ids(folder: Path, entity_type: str, ids: Int64Array | Utf8Ids) -> WrittenIds:
    """Writes a directory below ids/ENTITY_TYPE.

    Args:
      folder: The folder of the bundle version.
      entity_type: The name of the entity type.
      ids: n ids, each once.

    Raises:
      BundleError: An id is there twice, or no id that can be stored.
    """
    path = f"ids/{entity_type}"
    if isinstance(ids, Utf8Ids):
        packed = pack_ids(ids, f"ids of {entity_type!r}")
        seed, keys, order = _sort_strings(ids, packed, entity_type)
        entry = bundle_pb2.BundleIds(id_type=bundle_pb2.ID_TYPE_STRING, hash_seed=seed)
        _write_strings(folder, path, packed, order, entry)
    else:
        keys, order = _sort(id_hash.int64_keys(np.ascontiguousarray(ids, np.int64)))
        if (twins := _equal_neighbours(keys)).size:
            raise _duplicate(entity_type, int(ids[order[twins[0]]]))
        entry = bundle_pb2.BundleIds(id_type=bundle_pb2.ID_TYPE_INT64)
    entry.num_bucket_bits = _num_bucket_bits(len(keys))
    buckets = _make_buckets(keys, entry.num_bucket_bits)
    entry.max_bucket_rows = int(np.diff(buckets).max())
    entry.keys.CopyFrom(write_file(folder, f"{path}/keys.bin", keys))
    entry.buckets.CopyFrom(write_file(folder, f"{path}/buckets.bin", buckets))
    return WrittenIds(entry=entry, keys=keys, order=order)


def shard_bounds(keys: UInt64Array, num_shards: int) -> Int64Array:
    """Returns the first row of each shard, and the number of rows.

    Args:
      keys: uint64 [n], ascending: the key of each row.
      num_shards: The number of shards.

    Returns:
      int64 [num_shards + 1].
    """
    firsts = keys.searchsorted(id_hash.first_keys_of_shards(num_shards))
    return np.append(firsts, len(keys)).astype(np.int64)


def _sort_strings(
    ids: Utf8Ids, packed: PackedIds, entity_type: str
) -> tuple[int, UInt64Array, Int64Array]:
    """Returns a seed with which no two ids share a key, and `_sort` of the keys."""
    for seed in range(_NUM_SEEDS):
        keys, order = _sort(
            id_hash.ragged_string_keys(packed.words, packed.offsets, seed)
        )
        twins = _equal_neighbours(keys)
        if not twins.size:
            return seed, keys, order
        for twin in twins.tolist():
            first, second = ids.id(order[twin]), ids.id(order[twin + 1])
            if first == second:
                raise _duplicate(entity_type, first)
    raise BundleError(
        f"ids of {entity_type!r}: share hashes with each of {_NUM_SEEDS} seeds"
    )


def _sort(keys: UInt64Array) -> tuple[UInt64Array, Int64Array]:
    order = np.argsort(keys)
    return keys.take(order), order


def _equal_neighbours(keys: UInt64Array) -> Int64Array:
    return np.flatnonzero(keys[1:] == keys[:-1])


def _duplicate(entity_type: str, entity_id: object) -> BundleError:
    return BundleError(
        f"ids of {entity_type!r}: {entity_id!r} is there twice; allowed: once"
    )


def _num_bucket_bits(num_rows: int) -> int:
    bits = (num_rows // _ROWS_PER_BUCKET).bit_length() - 1
    return min(max(bits, 0), _MAX_BUCKET_BITS)


def _make_buckets(keys: UInt64Array, num_bits: int) -> Int64Array:
    """Returns the first row of each bucket, and the number of rows."""
    inner = np.arange(1, 1 << num_bits, dtype=np.uint64) << (64 - num_bits)
    return np.concatenate(([0], keys.searchsorted(inner), [len(keys)])).astype(np.int64)


def _write_strings(
    folder: Path,
    path: str,
    packed: PackedIds,
    order: Int64Array,
    entry: bundle_pb2.BundleIds,
) -> None:
    counts = np.diff(packed.offsets).take(order)
    offsets = np.concatenate(([0], counts.cumsum()))
    entry.offsets.CopyFrom(write_file(folder, f"{path}/offsets.bin", offsets))
    with FileWriter(folder, f"{path}/words.bin") as writer:
        for start in range(0, len(order), _BLOCK_ROWS):
            writer.write(packed.take(order[start : start + _BLOCK_ROWS]))
    entry.words.CopyFrom(writer.entry)
