# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Builds retrieval indexes from written tables, and measures them."""

import torch

from twhin.bundle import kinds
from twhin.bundle.bundle import Bundle
from twhin.bundle.kinds import IndexKind
from twhin.bundle.mapped_table import MappedTable
from twhin.export import id_step, table_step
from twhin.export.export_plan import ExportPlan
from twhin.retrieval import calibration, index_builder, index_choice
from twhin.retrieval.calibration import Calibration
from twhin.retrieval.index_choice import IndexChoice
from twhin.retrieval.operators import Query
from twhin.v1 import bundle_pb2

_BLOCK_ROWS = 1 << 16


def choose_indexes(plan: ExportPlan) -> None:
    """Decides about the indexes of the entity types whose ids this rank wrote."""
    for entity_type in plan.mine(plan.entity_types):
        table = id_step.read_table(plan, entity_type)
        shard_rows = [shard.stop_row - shard.start_row for shard in table.shards]
        kind = index_choice.choose_index(
            IndexChoice(plan.settings.export.index),
            entity_type=entity_type,
            shard_rows=shard_rows,
            dim=plan.dim,
            comparator=plan.comparator,
        )
        entry = bundle_pb2.BundleIndex(entity_type=entity_type)
        if kind is not None:
            entry.kind = kinds.to_proto(kind, bundle_pb2.IndexKind)
        if kind in (IndexKind.IVF_FP16, IndexKind.IVF_PQ):
            entry.num_lists = index_choice.choose_num_lists(shard_rows)
            entry.num_probes = 1
        plan.work.put(_choice(entity_type), entry)


def write_indexes(plan: ExportPlan) -> None:
    """Builds the indexes of this rank's shards, which it has written."""
    for entity_type in plan.entity_types:
        entry = _index_entry(plan, entity_type)
        if entry is None:
            continue
        shards = plan.my_shards(entity_type)
        written = table_step.read_written_table(plan, entity_type, shards)
        kind = kinds.from_proto(IndexKind, bundle_pb2.IndexKind, entry.kind, "kind")
        for shard in shards:
            table = MappedTable(plan.folder, written, dim=plan.dim, shards=[shard])
            file = index_builder.build_index(
                kind,
                plan.comparator,
                (block for _, block in table.blocks(_BLOCK_ROWS)),
                dim=plan.dim,
                num_lists=entry.num_lists,
                folder=plan.folder,
                path=index_builder.index_path(entity_type, shard, plan.num_shards),
                num_threads=torch.get_num_threads(),
            )
            plan.work.put(f"index-{entity_type}-{shard}", file)


def read_indexes(plan: ExportPlan) -> list[bundle_pb2.BundleIndex]:
    """Returns the indexes that all ranks have written, not measured yet."""
    indexes = []
    for entity_type in plan.entity_types:
        entry = _index_entry(plan, entity_type)
        if entry is not None:
            entry.shards.extend(
                plan.work.get(f"index-{entity_type}-{shard}", bundle_pb2.BundleFile)
                for shard in range(plan.num_shards)
            )
            indexes.append(entry)
    return indexes


def measure_indexes(plan: ExportPlan, manifest: bundle_pb2.BundleManifest) -> None:
    """Measures the indexes of this rank's entity types.

    Args:
      plan: The export.
      manifest: What all ranks have written, with indexes not measured yet.
    """
    bundle = Bundle(plan.folder, manifest, range(plan.num_shards))
    for index in plan.mine(manifest.indexes):
        target = plan.settings.export.index_recall
        queries = calibration.row_queries(bundle, index.entity_type)
        measured = _measure(bundle, index, queries, target)
        index.num_probes, index.recall_at_100 = measured
        related = calibration.relation_queries(bundle, index.entity_type)
        if related is not None:
            measured = _measure(bundle, index, related, target)
            index.relation_num_probes, index.relation_recall_at_100 = measured
        plan.work.put(f"measured-{index.entity_type}", index)


def read_measured_indexes(plan: ExportPlan) -> list[bundle_pb2.BundleIndex]:
    """Returns the indexes with what all ranks have measured."""
    return [
        plan.work.get(f"measured-{index.entity_type}", bundle_pb2.BundleIndex)
        for index in read_indexes(plan)
    ]


def _measure(
    bundle: Bundle, index: bundle_pb2.BundleIndex, queries: Query, target: float
) -> tuple[int, float]:
    """Returns the lists to visit, 0 where there are none, and the recall."""
    measured = Calibration(bundle, index.entity_type, queries)
    if not index.num_lists:
        return 0, measured.recall()
    return measured.choose_num_probes(target)


def _index_entry(plan: ExportPlan, entity_type: str) -> bundle_pb2.BundleIndex | None:
    """Returns the entry of an index, without files; None where there is to be none."""
    entry = plan.work.get(_choice(entity_type), bundle_pb2.BundleIndex)
    is_none = entry.kind == bundle_pb2.INDEX_KIND_UNSPECIFIED
    return None if is_none else entry


def _choice(entity_type: str) -> str:
    return f"choice-{entity_type}"
