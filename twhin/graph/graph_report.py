# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What is in a prepared graph, as tables."""

from twhin.graph.manifest import GraphManifest
from twhin.graph.prepared_graph import PreparedGraph
from twhin.graph.report_table import ReportTable, format_bytes

_MAX_RELATIONS = 30


def describe_graph(folder: str) -> tuple[ReportTable, ...]:
    """Describes a folder that //twhin:prepare has written.

    Raises:
      DataError: It is not a complete prepared graph.
    """
    manifest = PreparedGraph.open(folder).manifest
    assert manifest is not None
    return describe_manifest(manifest, folder)


def describe_manifest(manifest: GraphManifest, folder: str) -> tuple[ReportTable, ...]:
    """Describes a prepared graph by its manifest."""
    tables = (
        _overview(manifest, folder),
        _entities(manifest),
        _degrees(manifest),
        _edges(manifest),
        _relations(manifest),
    )
    if not manifest.warnings:
        return tables
    rows = tuple((warning,) for warning in manifest.warnings)
    return (*tables, ReportTable(title="warnings", header=("",), rows=rows))


def _overview(manifest: GraphManifest, folder: str) -> ReportTable:
    input_bytes = sum(file.size_bytes for file in manifest.inputs)
    return ReportTable(
        title=f"prepared graph {folder}",
        header=("", ""),
        rows=(
            ("format version", str(manifest.format_version)),
            ("digest", manifest.digest[:16]),
            ("inputs", f"{len(manifest.inputs)} files, {format_bytes(input_bytes)}"),
            ("weights", "yes" if manifest.weighted else "no"),
        ),
    )


def _entities(manifest: GraphManifest) -> ReportTable:
    return ReportTable(
        title="entity types",
        header=("type", "ids", "rows", "ids", "rare", "unseen", "new", "gone", "B/id"),
        rows=tuple(
            (
                v.entity_type,
                v.id_type,
                manifest.schema.num_entities(v.entity_type),
                v.num_ids,
                v.num_rare,
                v.num_unseen,
                v.num_new,
                v.num_gone,
                sum(file.size_bytes for file in v.files) / max(1, v.num_ids),
            )
            for v in manifest.vocabularies
        ),
    )


def _degrees(manifest: GraphManifest) -> ReportTable:
    quantiles = list(manifest.vocabularies[0].degree_quantiles)
    return ReportTable(
        title="degrees in train, by quantile",
        header=("type", *quantiles),
        rows=tuple(
            (v.entity_type, *(v.degree_quantiles.get(q) for q in quantiles))
            for v in manifest.vocabularies
        ),
    )


def _edges(manifest: GraphManifest) -> ReportTable:
    return ReportTable(
        title="edges",
        header=(
            "split",
            "edges",
            "files",
            "B/edge",
            "input",
            "filtered",
            "duplicates",
            "dropped",
        ),
        rows=tuple(
            (
                name,
                split.num_edges,
                len(split.files),
                sum(file.size_bytes for file in split.files) / max(1, split.num_edges),
                split.num_input_edges,
                split.num_filtered,
                split.num_duplicates,
                split.num_dropped,
            )
            for name, split in manifest.splits.items()
        ),
    )


def _relations(manifest: GraphManifest) -> ReportTable:
    relations = manifest.schema.relations
    rows: list[tuple[str | int | None, ...]] = [
        (
            relation.name,
            relation.lhs,
            relation.rhs,
            *(s.edges_by_relation[relation.name] for s in manifest.splits.values()),
        )
        for relation in relations[:_MAX_RELATIONS]
    ]
    if len(relations) > _MAX_RELATIONS:
        more = f"... and {len(relations) - _MAX_RELATIONS} more"
        rows.append((more, "", "", *[None] * len(manifest.splits)))
    return ReportTable(
        title="relations",
        header=("relation", "lhs", "rhs", *manifest.splits),
        rows=tuple(rows),
    )
