# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A dry run as tables."""

from twhin.graph.manifest import SPLITS
from twhin.graph.prepare.dry_run import DryRun
from twhin.graph.report_table import ReportTable, format_bytes


def describe(result: DryRun) -> tuple[ReportTable, ...]:
    """Returns the result as tables."""
    tables = [
        ReportTable(
            title="sources",
            header=("source", "side", "column", "entity type", "ids", "from", "to"),
            rows=tuple(
                (
                    c.where,
                    c.side,
                    c.column,
                    c.entity_types,
                    c.num_ids,
                    c.smallest,
                    c.largest,
                )
                for c in result.columns
            ),
        ),
        ReportTable(
            title="entity types (about)",
            header=("type", "ids", "entities", "training memory"),
            rows=tuple(
                (e.name, e.id_type, e.num_entities, format_bytes(e.training_bytes))
                for e in result.entities
            ),
        ),
        ReportTable(
            title="relations",
            header=("relation", "lhs", "rhs", *SPLITS),
            rows=tuple(
                (
                    r.name,
                    r.lhs,
                    r.rhs,
                    *(result.edges[split].get(r.name, 0) for split in SPLITS),
                )
                for r in result.relations
            ),
        ),
        ReportTable(
            title="needs (about)",
            header=("", ""),
            rows=(
                ("prepared folder", format_bytes(result.prepared_bytes)),
                ("disk while it is written", format_bytes(result.work_bytes)),
                ("memory to stay off the disk", format_bytes(result.memory_bytes)),
                (
                    "training memory of all ranks",
                    format_bytes(sum(e.training_bytes for e in result.entities)),
                ),
            ),
        ),
    ]
    if result.warnings:
        rows = tuple((warning,) for warning in result.warnings)
        tables.append(ReportTable(title="warnings", header=("",), rows=rows))
    return tuple(tables)
