# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What is in a checkpoint, as tables."""

from pathlib import Path

from twhin.checkpoint.reader import CheckpointReader
from twhin.graph.report_table import ReportTable, format_bytes


def describe_checkpoint(folder: str) -> tuple[ReportTable, ...]:
    """Describes a checkpoint; sizes are compared, checksums are not.

    Raises:
      CheckpointError: It is not a complete checkpoint.
    """
    reader = CheckpointReader(Path(folder), verify=False)
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    overview = ReportTable(
        title=f"checkpoint {folder}",
        header=("", ""),
        rows=(
            ("step", f"{reader.step:,}"),
            ("epoch", str(reader.progress.epoch)),
            ("dimension", str(reader.embedding_dim)),
            ("ranks that saved", str(reader.world_size)),
            ("configuration", reader.config_digest[:16]),
            ("graph", (reader.graph_digest or "-")[:16]),
            ("prepared graph", reader.prepared or "-"),
            ("size", format_bytes(sum(path.stat().st_size for path in files))),
        ),
    )
    return (overview, _tables(reader), _relations(reader))


def _tables(reader: CheckpointReader) -> ReportTable:
    rows = []
    for entity_type in reader.schema.entity_types:
        name = entity_type.name
        states = reader.state_names(name)
        first = [reader.read_rows(name, 0, 1)]
        first += [reader.read_state(name, state, 0, 1) for state in states]
        rows.append(
            (
                name,
                entity_type.num_entities,
                str(first[0].dtype).removeprefix("torch."),
                ", ".join(states) or "-",
                sum(values.numel() * values.element_size() for values in first),
            )
        )
    return ReportTable(
        title="tables",
        header=("type", "rows", "numbers", "optimizer state", "B/row"),
        rows=tuple(rows),
    )


def _relations(reader: CheckpointReader) -> ReportTable:
    relations = reader.schema.relations
    shapes = {
        name: "x".join(map(str, values.shape))
        for name, values in reader.relation_parameters().items()
    }
    return ReportTable(
        title="relations",
        header=("", ""),
        rows=(
            ("relations", f"{len(relations):,}"),
            *((f"parameters {name}", shape) for name, shape in shapes.items()),
        ),
    )
