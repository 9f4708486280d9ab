# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a server tells about the bundle that it serves."""

from twhin.serving.limits import Limits
from twhin.serving.live_bundle import ServedBundle
from twhin.v1 import embedding_service_pb2 as pb


def describe_bundle(served: ServedBundle, limits: Limits) -> pb.GetBundleResponse:
    """Returns tables, relations, version and limits."""
    bundle = served.bundle
    return pb.GetBundleResponse(
        version=served.version,
        tables=[
            pb.ServedTable(
                entity_type=entity_type,
                num_rows=table.num_rows,
                dim=table.dim,
                dtype=str(table.row_format),
                string_ids=bundle.directories[entity_type].is_string,
                hash_seed=bundle.directories[entity_type].hash_seed,
                first_shard=bundle.shards.start,
                end_shard=bundle.shards.stop,
                num_shards=bundle.num_shards,
                indexed=served.retriever.is_indexed(entity_type),
            )
            for entity_type, table in bundle.tables.items()
        ],
        relations=[
            pb.ServedRelation(name=name, lhs=relation.lhs, rhs=relation.rhs)
            for name, relation in bundle.relations.items()
        ],
        limits=pb.Limits(
            max_ids=limits.max_ids,
            max_queries=limits.max_queries,
            max_k=limits.max_k,
        ),
    )
