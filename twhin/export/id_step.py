# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes the id directories, and says which row goes where."""

import itertools

from twhin.bundle import id_writer, kinds
from twhin.bundle.id_hash import Int64Array
from twhin.errors import CheckpointError
from twhin.export import vocabulary_ids
from twhin.export.export_plan import ExportPlan
from twhin.v1 import bundle_pb2


def write_ids(plan: ExportPlan) -> None:
    """Writes the directories of this rank's entity types.

    Raises:
      CheckpointError: The checkpoint is of another graph.
      BundleError: An id cannot be stored.
    """
    for entity_type in plan.mine(plan.entity_types):
        ids = vocabulary_ids.load_ids(plan.graph, entity_type)
        num_stored = plan.reader.schema.num_entities(entity_type)
        if len(ids) > num_stored:
            raise CheckpointError(
                f"tables/{entity_type}: has {num_stored} rows for {len(ids)} ids;"
                " allowed: the graph that the checkpoint was trained on"
            )
        written = id_writer.write_ids(plan.folder, entity_type, ids)
        bounds = id_writer.shard_bounds(written.keys, plan.num_shards).tolist()
        plan.work.put_order(_order(entity_type), written.order)
        plan.work.put(
            f"table-{entity_type}",
            bundle_pb2.BundleTable(
                entity_type=entity_type,
                num_rows=len(ids),
                row_format=kinds.to_proto(plan.row_format, bundle_pb2.RowFormat),
                ids=written.entry,
                shards=[
                    bundle_pb2.TableShard(start_row=start, stop_row=stop)
                    for start, stop in itertools.pairwise(bounds)
                ],
            ),
        )


def read_table(plan: ExportPlan, entity_type: str) -> bundle_pb2.BundleTable:
    """Returns a table whose ids have been written, its shards without files."""
    return plan.work.get(f"table-{entity_type}", bundle_pb2.BundleTable)


def read_order(plan: ExportPlan, entity_type: str) -> Int64Array:
    """Returns the trained row of each row of the bundle, int64 [num_rows]."""
    return plan.work.get_order(_order(entity_type))


def _order(entity_type: str) -> str:
    return f"order-{entity_type}"
