# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a source of vectors has."""

from collections.abc import Mapping
from dataclasses import dataclass

from twhin.v1 import embedding_service_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInfo:
    """The table of an entity type.

    Attributes:
      num_rows: The number of entities, over all shards.
      dim: The length D of a vector.
      row_format: How numbers are stored: "float32", "float16" or "int8".
      is_string: Whether ids are strings; otherwise they are int64.
      hash_seed: The seed of the hash of string ids.
      is_indexed: Whether retrieval has an index; otherwise it is exact.
    """

    num_rows: int
    dim: int
    row_format: str
    is_string: bool
    hash_seed: int
    is_indexed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleInfo:
    """A version of a bundle.

    Attributes:
      version: Its name.
      tables: By entity type.
      relations: The entity types (lhs, rhs) by relation, in the order of the
        relations' indices.
      num_shards: The number of shards of each table.
      first_shard: The first shard that the source holds.
      end_shard: One more than the last.
      max_ids: Ids of one lookup.
      max_queries: Queries of one retrieval.
    """

    version: str
    tables: Mapping[str, TableInfo]
    relations: Mapping[str, tuple[str, str]]
    num_shards: int
    first_shard: int
    end_shard: int
    max_ids: int
    max_queries: int


def read_info(response: pb.GetBundleResponse) -> BundleInfo:
    """Returns what a server told about itself."""
    first = response.tables[0] if response.tables else pb.ServedTable(num_shards=1)
    return BundleInfo(
        version=response.version,
        tables={
            table.entity_type: TableInfo(
                num_rows=table.num_rows,
                dim=table.dim,
                row_format=table.dtype,
                is_string=table.string_ids,
                hash_seed=table.hash_seed,
                is_indexed=table.indexed,
            )
            for table in response.tables
        },
        relations={
            relation.name: (relation.lhs, relation.rhs)
            for relation in response.relations
        },
        num_shards=first.num_shards,
        first_shard=first.first_shard,
        end_shard=first.end_shard or first.num_shards,
        max_ids=response.limits.max_ids,
        max_queries=response.limits.max_queries,
    )
