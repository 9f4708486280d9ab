# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a preparation would give: schema and sizes, from one reading of the inputs.

Entities are counted with a sketch (HyperLogLog), within a few per cent.
"""

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twhin.config.settings import (
    Dtype,
    Duplicates,
    EntityType,
    Holdout,
    OptimizerKind,
    RawEdges,
    TrainConfig,
)
from twhin.graph.manifest import SPLITS
from twhin.graph.prepare import edge_views, id_types, relations, warnings
from twhin.graph.prepare.base_vocabulary import load_base
from twhin.graph.prepare.edge_views import EdgeViews
from twhin.graph.prepare.engine import Engine
from twhin.graph.prepare.input_files import find_sources
from twhin.graph.prepare.preparation import (
    EngineFactory,
    base_folder,
    raw_edges,
    survey_sources,
)
from twhin.graph.prepare.relations import GraphRelations
from twhin.graph.prepare.source_columns import mapped_columns
from twhin.graph.prepare.source_survey import SourceSurvey
from twhin.graph.schema import RelationSchema

_SKETCH = "CAST(approx_count_distinct({0}) AS BIGINT), min({0}), max({0})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnEstimate:
    """The ids of one side of a source, over all its relations.

    Attributes:
      where: The source.
      side: "lhs" or "rhs".
      column: The column in the files.
      entity_types: The entity types that its relations give it.
      num_ids: About the number of distinct ids.
      smallest: The first id in the order of ids.
      largest: The last one.
    """

    where: str
    side: str
    column: str
    entity_types: str
    num_ids: int
    smallest: str
    largest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityEstimate:
    """An entity type.

    Attributes:
      name: Its name.
      id_type: "int64" or "string".
      num_entities: About the rows of its table, before rare ones are cut.
      training_bytes: Memory of the table and its optimizer state over all ranks.
    """

    name: str
    id_type: str
    num_entities: int
    training_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """The result of a dry run.

    Attributes:
      relations: Names and entity types, in index order.
      edges: Edges by split, before the holdout, and by relation name.
      columns: The sides of each source.
      entities: The entity types.
      prepared_bytes: About the size of the folder.
      work_bytes: About the disk space needed besides, while it is written.
      memory_bytes: About the memory in which nothing is written to disk twice.
      warnings: One line each.
    """

    relations: tuple[RelationSchema, ...]
    edges: dict[str, dict[str, int]]
    columns: tuple[ColumnEstimate, ...]
    entities: tuple[EntityEstimate, ...]
    prepared_bytes: int
    work_bytes: int
    memory_bytes: int
    warnings: tuple[str, ...]


def dry_run(
    settings: TrainConfig, output_dir: str, *, make_engine: EngineFactory
) -> DryRun:
    """Reads the inputs once and writes nothing that stays.

    Args:
      settings: The configuration; `data.raw` must be set.
      output_dir: The folder that `prepare` would write; text files are rewritten
        into a temporary folder beside it.
      make_engine: Makes the engine.

    Raises:
      DataError: As `prepare`.
    """
    raw = raw_edges(settings)
    parent = Path(output_dir).absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".dry_run-", dir=parent))
    try:
        engine = make_engine(work)
        try:
            return _measure(engine, settings, raw)
        finally:
            engine.close()
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _measure(engine: Engine, settings: TrainConfig, raw: RawEdges) -> DryRun:
    surveys = survey_sources(engine, find_sources(raw, settings.data.root))
    found = relations.expand(settings.graph, raw.holdout.relations, surveys, engine)
    base = load_base(base_folder(settings, raw))
    ids = id_types.choose_id_types(
        engine, surveys, found, base.id_types() if base else {}
    )
    engine.begin("sizes")
    whole = Holdout(valid_fraction=0, test_fraction=0, by_time=False, relations=())
    plain = dataclasses.replace(raw, duplicates=Duplicates.KEEP, holdout=whole)
    edges = edge_views.define_edges(engine, plain, surveys, found, ids)
    entities = tuple(
        _estimate_entities(engine, settings, entity_type, found, edges, ids)
        for entity_type in settings.graph.entity_types
        if entity_type.name in ids
    )
    num_edges = sum(edges.num_edges.values())
    rows = {entity.name: entity.num_entities for entity in entities}
    edge_bytes = int(num_edges * _bytes_per_edge(rows, edges.weighted))
    vocabulary_bytes = sum(
        entity.num_entities * (4 if entity.id_type == id_types.INT64 else 12)
        for entity in entities
    )
    return DryRun(
        relations=found.schema,
        edges={split: _count_by_relation(surveys, split) for split in SPLITS},
        columns=_estimate_columns(engine, surveys, found),
        entities=entities,
        prepared_bytes=edge_bytes + vocabulary_bytes,
        work_bytes=edge_bytes + num_edges * 5 + vocabulary_bytes,
        memory_bytes=(1 << 29) + sum(rows.values()) * 100,
        warnings=warnings.find_warnings(surveys, found),
    )


def _estimate_entities(
    engine: Engine,
    settings: TrainConfig,
    entity_type: EntityType,
    found: GraphRelations,
    edges: EdgeViews,
    ids: dict[str, str],
) -> EntityEstimate:
    ends = [
        f"SELECT {side} AS id FROM {view}"
        for (_, pair), view in edges.views.items()
        for side, name in zip(("lhs", "rhs"), found.pairs[pair], strict=True)
        if name == entity_type.name
    ]
    ((count, _, _),) = engine.rows(
        f"SELECT {_SKETCH.format('id')} FROM ({' UNION ALL '.join(ends)}) AS ends"
    )
    if entity_type.max_entities is not None:
        count = min(count, entity_type.max_entities)
    count = max(count, entity_type.num_entities or 0)
    return EntityEstimate(
        name=entity_type.name,
        id_type=ids[entity_type.name],
        num_entities=count,
        training_bytes=count * row_bytes(entity_type, settings.model.embedding_dim),
    )


def row_bytes(entity_type: EntityType, dim: int) -> int:
    """Returns the bytes of a table's row with its optimizer state."""
    state = {
        OptimizerKind.SGD: 0,
        OptimizerKind.ROWWISE_ADAGRAD: 4,
        OptimizerKind.ADAGRAD: 4 * dim,
        OptimizerKind.ADAM: 8 * dim,
        OptimizerKind.PARTIAL_ROWWISE_ADAM: 4 * dim + 4,
        OptimizerKind.LAMB: 8 * dim,
    }
    width = 4 if entity_type.table.dtype is Dtype.FLOAT32 else 2
    return dim * width + state[entity_type.table.optimizer]


def _bytes_per_edge(num_entities: dict[str, int], weighted: bool) -> float:
    """Returns the size of an encoded edge: indices take as many bits as they need."""
    bits = max(1, max(num_entities.values(), default=1)).bit_length() + 1
    return 2 * bits / 8 + (4 if weighted else 0) + 0.1


def _count_by_relation(surveys: Sequence[SourceSurvey], split: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for survey in surveys:
        if survey.source.split == split:
            for name, each in survey.relations.items():
                counts[name] = counts.get(name, 0) + each.num_edges
    return counts


def _estimate_columns(
    engine: Engine, surveys: Sequence[SourceSurvey], found: GraphRelations
) -> tuple[ColumnEstimate, ...]:
    estimates = []
    for survey in surveys:
        source = survey.source
        schemas = [found.schema[found.index(name)] for name in survey.relations]
        for side in ("lhs", "rhs"):
            ((count, smallest, largest),) = engine.rows(
                f"SELECT {_SKETCH.format(side)} FROM {source.view} WHERE kept"
            )
            estimates.append(
                ColumnEstimate(
                    where=source.where,
                    side=side,
                    column=mapped_columns(source.settings)[side],
                    entity_types=", ".join(
                        dict.fromkeys(getattr(schema, side) for schema in schemas)
                    ),
                    num_ids=count,
                    smallest=str(smallest),
                    largest=str(largest),
                )
            )
    return tuple(estimates)
