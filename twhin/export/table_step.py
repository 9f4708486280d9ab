# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes the rows of all tables in the order of their ids' keys."""

import contextlib

from twhin.bundle.file_writer import FileWriter
from twhin.bundle.table_writer import shard_path
from twhin.export import id_step
from twhin.export.export_plan import ExportPlan
from twhin.export.permuted_rows import PermutedRows, RowRange
from twhin.v1 import bundle_pb2


def write_tables(plan: ExportPlan) -> None:
    """Writes this rank's shards of every table.

    Raises:
      CheckpointError: A row has a number that cannot be stored.
    """
    for entity_type in plan.entity_types:
        _write_shards(plan, entity_type, plan.my_shards(entity_type))


def read_written_table(
    plan: ExportPlan, entity_type: str, shards: range | list[int]
) -> bundle_pb2.BundleTable:
    """Returns a table with the files of shards that have been written."""
    table = id_step.read_table(plan, entity_type)
    for shard in shards:
        file = plan.work.get(f"shard-{entity_type}-{shard}", bundle_pb2.BundleFile)
        table.shards[shard].file.CopyFrom(file)
    return table


def _write_shards(plan: ExportPlan, entity_type: str, shards: list[int]) -> None:
    table = id_step.read_table(plan, entity_type)
    rows = PermutedRows(
        where=f"tables/{entity_type}",
        read_rows=lambda start, stop: plan.reader.read_rows(entity_type, start, stop),
        order=id_step.read_order(plan, entity_type),
        dim=plan.dim,
        row_format=plan.row_format,
        buffer_bytes=plan.buffer_bytes,
    )
    ranges = [
        RowRange(start=table.shards[shard].start_row, stop=table.shards[shard].stop_row)
        for shard in shards
    ]
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(
                FileWriter(plan.folder, shard_path(entity_type, shard, plan.num_shards))
            )
            for shard in shards
        ]
        for place, block in rows.blocks(ranges):
            writers[place].write(block)
    for shard, writer in zip(shards, writers, strict=True):
        plan.work.put(f"shard-{entity_type}-{shard}", writer.entry)
