# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What is in a bundle, as tables."""

from pathlib import Path

from twhin.bundle import versions
from twhin.bundle.manifest import read_manifest
from twhin.graph.report_table import ReportTable, format_bytes
from twhin.v1 import bundle_pb2, graph_pb2, train_config_pb2

_MAX_METRICS = 20


def describe_bundle(folder: str) -> tuple[ReportTable, ...]:
    """Describes a version's folder, or the current version of a bundle's root.

    Raises:
      BundleError: It is not a complete bundle.
    """
    path = versions.version_folder(Path(folder))
    manifest = read_manifest(path)
    tables = [_overview(manifest, path), _tables(manifest)]
    if manifest.indexes:
        tables.append(_indexes(manifest))
    if manifest.relations:
        tables.append(_relations(manifest))
    if manifest.metrics:
        tables.append(_metrics(manifest))
    return tuple(tables)


def _overview(manifest: bundle_pb2.BundleManifest, path: Path) -> ReportTable:
    comparator = train_config_pb2.Comparator.Name(manifest.comparator)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return ReportTable(
        title=f"bundle {path}",
        header=("", ""),
        rows=(
            ("version", versions.version_name(manifest.version)),
            ("versions", ", ".join(versions.list_versions(path.parent))),
            ("created", manifest.create_time.ToJsonString()),
            ("step", f"{manifest.step:,}"),
            ("dimension", str(manifest.embedding_dim)),
            ("comparator", comparator.removeprefix("COMPARATOR_").lower()),
            ("shards", str(manifest.num_shards)),
            ("configuration", manifest.config_digest[:16] or "-"),
            ("size", format_bytes(size)),
        ),
    )


def _tables(manifest: bundle_pb2.BundleManifest) -> ReportTable:
    rows = []
    for table in manifest.tables:
        stored = bundle_pb2.RowFormat.Name(table.row_format)
        id_type = bundle_pb2.IdType.Name(table.ids.id_type)
        ids = (table.ids.keys, table.ids.buckets, table.ids.offsets, table.ids.words)
        num_rows = max(1, table.num_rows)
        rows.append(
            (
                table.entity_type,
                table.num_rows,
                stored.removeprefix("ROW_FORMAT_").lower(),
                sum(shard.file.size_bytes for shard in table.shards) / num_rows,
                id_type.removeprefix("ID_TYPE_").lower(),
                sum(file.size_bytes for file in ids) / num_rows,
            )
        )
    return ReportTable(
        title="tables",
        header=("type", "rows", "numbers", "B/row", "ids", "B/id"),
        rows=tuple(rows),
    )


def _indexes(manifest: bundle_pb2.BundleManifest) -> ReportTable:
    num_rows = {table.entity_type: table.num_rows for table in manifest.tables}
    return ReportTable(
        title="retrieval indexes",
        header=(
            "type",
            "kind",
            "lists",
            "probes",
            "recall@100",
            "by relation: probes",
            "recall@100",
            "B/row",
        ),
        rows=tuple(
            (
                index.entity_type,
                bundle_pb2.IndexKind.Name(index.kind)
                .removeprefix("INDEX_KIND_")
                .lower(),
                index.num_lists or None,
                index.num_probes or None,
                index.recall_at_100,
                index.relation_num_probes or None,
                index.relation_recall_at_100 or None,
                sum(file.size_bytes for file in index.shards)
                / max(1, num_rows[index.entity_type]),
            )
            for index in manifest.indexes
        ),
    )


def _relations(manifest: bundle_pb2.BundleManifest) -> ReportTable:
    return ReportTable(
        title="relations",
        header=("relation", "lhs", "rhs", "operator", "reciprocal"),
        rows=tuple(
            (
                relation.name,
                relation.lhs,
                relation.rhs,
                graph_pb2.Operator.Name(relation.operator)
                .removeprefix("OPERATOR_")
                .lower(),
                "yes" if relation.HasField("reciprocal_parameters_start") else "no",
            )
            for relation in manifest.relations
        ),
    )


def _metrics(manifest: bundle_pb2.BundleManifest) -> ReportTable:
    values = sorted(manifest.metrics.items())
    rows = [(name, f"{value:.4f}") for name, value in values[:_MAX_METRICS]]
    if len(values) > _MAX_METRICS:
        rows.append((f"... and {len(values) - _MAX_METRICS} more", ""))
    return ReportTable(title="metrics", header=("", ""), rows=tuple(rows))
