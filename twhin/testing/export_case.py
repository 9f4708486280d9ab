# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A small trained model and its graph, held in memory, for tests of exports."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from twhin.bundle.bundle import Bundle
from twhin.config.settings import TrainConfig
from twhin.export.export_bundle import export_bundle
from twhin.graph.prepared_graph import PreparedGraph
from twhin.graph.schema import GraphSchema
from twhin.model.relation_model import RelationModel
from twhin.testing.prepare_case import PrepareCase

DIM = 8

_TYPES = "[{name: user}, {name: item}]"
_CONFIG = """
    graph:
      entity_types: %s
      relations:
        - {name: follows, lhs: user, rhs: user, operator: identity}
        - {name: buys, lhs: user, rhs: item, operator: translation}
        - {name: views, lhs: user, rhs: item, operator: translation}
    data: %s
    model: {embedding_dim: 8, reciprocal: true}
    """


class ModelForTest:
    """A `TableReader` of random tables.

    Attributes:
      schema: The schema.
      tables: The rows by entity type.
      relations: The relation parameters by name.
      reads: The ranges of rows that were read.
      before_read: Called before each read of rows.
    """

    config_digest = "c0ffee"
    step = 17

    def __init__(self, schema: GraphSchema, settings: TrainConfig) -> None:
        """Draws tables and parameters."""
        generator = torch.Generator().manual_seed(0)
        self.schema = schema
        self.tables = {
            each.name: torch.randn(each.num_entities, DIM, generator=generator)
            for each in schema.entity_types
        }
        model = RelationModel(
            operators=[relation.operator for relation in settings.graph.relations],
            embedding_dim=DIM,
            comparator=settings.model.comparator,
            reciprocal=settings.model.reciprocal,
        )
        self.relations = {
            name: torch.randn(values.shape, generator=generator)
            for name, values in model.parameters_by_name.items()
        }
        self.reads: list[tuple[str, int, int]] = []
        self.before_read: Callable[[], None] = lambda: None

    def read_rows(self, entity_type: str, start: int, stop: int) -> Tensor:
        """See `TableReader`."""
        self.before_read()
        self.reads.append((entity_type, start, stop))
        return self.tables[entity_type][start:stop]

    def relation_parameters(self) -> dict[str, Tensor]:
        """See `TableReader`."""
        return self.relations


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportCase:
    """A model, its graph, and its configuration."""

    model: ModelForTest
    graph: PreparedGraph
    settings: TrainConfig

    def export(self, root: Path, **options: Any) -> Bundle:
        """Exports on one rank and opens the version."""
        export_bundle(self.model, self.graph, self.settings, root, **options)
        return Bundle.open(root)

    def with_export(self, **fields: Any) -> "ExportCase":
        """Returns the case with other settings of the export."""
        export = dataclasses.replace(self.settings.export, **fields)
        settings = dataclasses.replace(self.settings, export=export)
        return dataclasses.replace(self, settings=settings)


def encoded_case(folder: Path, num_users: int = 300, num_items: int = 70) -> ExportCase:
    """Returns a model of edges that were encoded elsewhere: ids are rows."""
    types = (
        f"[{{name: user, num_entities: {num_users}}},"
        f" {{name: item, num_entities: {num_items}}}]"
    )
    encoded = "{encoded: {train: edges.parquet}}"
    case = PrepareCase(folder)
    case.write_parquet("edges.parquet", lhs=[0, 0, 1], rel=[0, 1, 2], rhs=[1, 0, 0])
    settings = case.settings(_CONFIG % (types, encoded))
    graph = PreparedGraph.from_encoded(settings)
    return ExportCase(
        model=ModelForTest(graph.schema, settings), graph=graph, settings=settings
    )


def prepared_case(
    folder: Path, edges: Sequence[tuple[Any, str, Any]], entity_types: str = _TYPES
) -> ExportCase:
    """Returns a model of raw edges, prepared into `folder`.

    Args:
      folder: An empty folder.
      edges: (lhs id, relation, rhs id) of "follows", "buys" or "views".
      entity_types: Those of the configuration, as YAML.
    """
    case = PrepareCase(folder)
    case.write_edges("edges.parquet", edges)
    config = _CONFIG % (entity_types, "{raw: {train: {paths: edges.parquet}}}")
    case.prepare(config)
    settings, graph = case.settings(config), case.graph()
    return ExportCase(
        model=ModelForTest(graph.schema, settings), graph=graph, settings=settings
    )
