# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Exports a trained model as the next version of a bundle.

Each rank writes shards of its own; the ranks meet at a barrier after each step:

    1. the id directories, each by one rank
    2. the rotation to the version before, where asked for
    3. the relation parameters; the shards of all tables, and their indexes
    4. the recall of the indexes
    5. other forms of the vectors, and those of entities that were not trained,
       where asked for
    6. rank 0 writes the manifest, and gives the folder its name
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from twhin.bundle import kinds
from twhin.bundle.bundle import Bundle
from twhin.bundle.new_version import NewVersion, incomplete_folder
from twhin.bundle.relation_writer import write_relations
from twhin.config.settings import TrainConfig
from twhin.export import (
    alignment_step,
    id_step,
    index_step,
    other_forms,
    table_step,
    unseen_table,
)
from twhin.export.bundle_relations import make_relations
from twhin.export.export_plan import ExportPlan
from twhin.export.other_forms import OtherForm
from twhin.export.table_reader import TableReader
from twhin.graph.prepared_graph import PreparedGraph
from twhin.v1 import bundle_pb2, train_config_pb2

_LOG = logging.getLogger(__name__)
_BUFFER_BYTES = 1 << 30


def export_bundle(
    reader: TableReader,
    graph: PreparedGraph,
    settings: TrainConfig,
    root: Path,
    *,
    metrics: Mapping[str, float] | None = None,
    forms: Sequence[OtherForm] = (),
    unseen_edges: Mapping[str, Path] | None = None,
    rank: int = 0,
    world_size: int = 1,
    barrier: Callable[[], None] = lambda: None,
    buffer_bytes: int = _BUFFER_BYTES,
    create_time: datetime | None = None,
) -> str | None:
    """Writes a version aside, and makes it the one in use. A collective.

    A failing rank raises, and its group's barrier then fails on the others; a
    version that is not complete is never opened by a reader.

    Args:
      reader: The trained model.
      graph: The graph that it was trained on.
      settings: The configuration of the run; `export` says how.
      root: The root of the bundle, on a disk that all ranks share.
      metrics: Metrics of the model by flat name, for the manifest.
      forms: Other forms of the vectors to write into the version.
      unseen_edges: By entity type a file with the edges of entities that were not
        trained; their vectors go to VERSION/unseen, see `unseen_table`.
      rank: This rank.
      world_size: The number of ranks.
      barrier: Returns when all ranks have called it.
      buffer_bytes: The bound on the rows that a rank holds at a time; a table is
        read once for each so many bytes that a rank writes.
      create_time: The time for the manifest; None for now.

    Returns:
      The name of the version; None on other ranks than 0.

    Raises:
      BundleError: The root cannot be written, another export is writing to it,
        or an id cannot be stored.
      CheckpointError: The model is damaged, or of another graph or configuration.
      DataError: The graph has other relations, or cannot be read.
    """
    plan = ExportPlan(
        folder=incomplete_folder(root),
        reader=reader,
        graph=graph,
        settings=settings,
        rank=rank,
        world_size=world_size,
        buffer_bytes=buffer_bytes,
        unseen_edges=unseen_edges or {},
    )
    if rank:
        barrier()
        _write(plan, root, forms, barrier)
        return None
    with NewVersion(root) as version:
        plan.work.create()
        head = bundle_pb2.BundleManifest(version=version.number)
        head.create_time.FromDatetime(create_time or datetime.now(UTC))
        plan.work.put("head", head)
        barrier()
        aligned = _write(plan, root, forms, barrier)
        manifest = _make_manifest(plan)
        manifest.indexes.extend(index_step.read_measured_indexes(plan))
        manifest.metrics.update({**(metrics or {}), **aligned})
        plan.work.remove()
        name = version.publish(
            manifest,
            keep_last=settings.export.keep_last,
            create_time=manifest.create_time,
        )
    _LOG.info("exported version=%s root=%s", name, root)
    return name


def _write(
    plan: ExportPlan,
    root: Path,
    forms: Sequence[OtherForm],
    barrier: Callable[[], None],
) -> dict[str, float]:
    """Does this rank's share of all steps but the last; returns metrics."""
    with _step("ids"):
        id_step.write_ids(plan)
        index_step.choose_indexes(plan)
    barrier()
    plan, metrics = _align(plan, root, barrier)
    with _step("tables"):
        if plan.rank == 0:
            _write_relations(plan)
        table_step.write_tables(plan)
    with _step("indexes"):
        index_step.write_indexes(plan)
    barrier()
    with _step("recall"):
        manifest = _make_manifest(plan)
        manifest.indexes.extend(index_step.read_indexes(plan))
        index_step.measure_indexes(plan, manifest)
    if forms:
        with _step("other_forms"):
            other_forms.write_other_forms(
                Bundle(plan.folder, manifest, range(plan.num_shards)),
                plan.mine(plan.entity_types),
                forms,
                event_time=manifest.create_time.ToDatetime(UTC),
                load_degrees=lambda entity_type: plan.graph.load_degrees(entity_type)[
                    id_step.read_order(plan, entity_type)
                ],
            )
    if plan.unseen_edges and plan.rank == 0:
        with _step("unseen"):
            _write_unseen(plan, manifest)
    barrier()
    return metrics


def _align(
    plan: ExportPlan, root: Path, barrier: Callable[[], None]
) -> tuple[ExportPlan, dict[str, float]]:
    """Returns the export of vectors that are turned, where asked for."""
    if not plan.settings.export.align_to_previous:
        return plan, {}
    previous = alignment_step.open_previous(root, plan.dim)
    if previous is None:
        _LOG.info("event=not_aligned reason=first_version")
        return plan, {}
    with _step("alignment"):
        alignment_step.compare_tables(plan, previous)
        barrier()
        return alignment_step.align(plan, previous)


def _write_relations(plan: ExportPlan) -> None:
    part = bundle_pb2.BundleManifest()
    relations = make_relations(
        plan.settings, plan.reader.schema, plan.reader.relation_parameters()
    )
    write_relations(plan.folder, relations, part)
    plan.work.put("relations", part)


def _write_unseen(plan: ExportPlan, manifest: bundle_pb2.BundleManifest) -> None:
    bundle = Bundle(plan.folder, manifest, range(plan.num_shards))
    folder = plan.folder / "unseen"
    folder.mkdir()
    for entity_type, edges_file in plan.unseen_edges.items():
        num_written = unseen_table.write_unseen_table(
            bundle,
            entity_type,
            edges_file,
            folder / f"{entity_type}.parquet",
            event_time=manifest.create_time.ToDatetime(UTC),
        )
        _LOG.info("event=unseen entity_type=%s vectors=%d", entity_type, num_written)


def _make_manifest(plan: ExportPlan) -> bundle_pb2.BundleManifest:
    """Returns the manifest of what all ranks have written, without indexes."""
    manifest = plan.work.get("head", bundle_pb2.BundleManifest)
    manifest.MergeFrom(plan.work.get("relations", bundle_pb2.BundleManifest))
    manifest.num_shards = plan.num_shards
    manifest.embedding_dim = plan.dim
    manifest.comparator = kinds.to_proto(plan.comparator, train_config_pb2.Comparator)
    manifest.config_digest = plan.reader.config_digest
    manifest.step = plan.reader.step
    manifest.tables.extend(
        table_step.read_written_table(plan, entity_type, range(plan.num_shards))
        for entity_type in plan.entity_types
    )
    return manifest


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    _LOG.info("export step=%s secs=%.1f", name, time.monotonic() - start)
