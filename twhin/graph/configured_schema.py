# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a configuration says about the relations of a graph's schema.

The wildcard of a configuration stands for many relations of the schema, and their
order may differ.
"""

import dataclasses
from collections.abc import Collection

from twhin.config.settings import Graph, Relation
from twhin.config.validate_graph import WILDCARD
from twhin.errors import DataError, did_you_mean
from twhin.graph.prepared_graph import PreparedGraph
from twhin.graph.schema import GraphSchema, RelationSchema


def relation_settings(graph: Graph, schema: GraphSchema) -> tuple[Relation, ...]:
    """Returns the settings of each relation of a schema, in the schema's order.

    A relation that only the wildcard covers has the wildcard's settings and its own
    name.

    Raises:
      DataError: A relation is not configured, or with other entity types.
    """
    configured = {relation.name: relation for relation in graph.relations}
    return tuple(_settings_of(configured, each) for each in schema.relations)


def check_schema(graph: Graph, prepared: PreparedGraph) -> None:
    """Checks that a configuration fits a graph.

    Raises:
      DataError: Entity types, their numbers of rows or relations differ.
    """
    schema = prepared.schema
    place = "data.encoded" if prepared.folder is None else str(prepared.folder)
    found = {each.name: each.num_entities for each in schema.entity_types}
    for index, entity_type in enumerate(graph.entity_types):
        where = f"graph.entity_types[{index}]"
        if entity_type.name not in found:
            raise DataError(
                f"{where}.name: {entity_type.name!r} is not in {place!r}; allowed:"
                f" {_names(found)}{did_you_mean(entity_type.name, found)}"
            )
        num_entities = found[entity_type.name]
        if entity_type.num_entities not in (None, num_entities):
            raise DataError(
                f"{where}.num_entities: {entity_type.num_entities}, but"
                f" {entity_type.name!r} has {num_entities} rows in {place!r}; allowed:"
                f" {num_entities}, or unset"
            )
    missing = sorted(set(found) - {each.name for each in graph.entity_types})
    if missing:
        raise DataError(
            f"graph.entity_types: {missing[0]!r} of {place!r} is missing; allowed: all"
            f" of {_names(found)}"
        )
    known = [relation.name for relation in schema.relations]
    for index, relation in enumerate(graph.relations):
        if relation.name != WILDCARD and relation.name not in known:
            raise DataError(
                f"graph.relations[{index}].name: {relation.name!r} is not in {place!r};"
                f" allowed: {_names(known)}{did_you_mean(relation.name, known)}"
            )
    relation_settings(graph, schema)


def _settings_of(configured: dict[str, Relation], relation: RelationSchema) -> Relation:
    found = configured.get(relation.name, configured.get(WILDCARD))
    if found is None:
        raise DataError(
            f"graph.relations: {relation.name!r} of the prepared graph is missing;"
            f" configured are {_names(configured)}; allowed: a relation for each, or"
            " '*'"
        )
    if (found.lhs, found.rhs) != (relation.lhs, relation.rhs):
        raise DataError(
            f"graph.relations: {found.name!r} joins {found.lhs!r} and {found.rhs!r},"
            f" but {relation.name!r} of the prepared graph {relation.lhs!r} and"
            f" {relation.rhs!r}; allowed: the same entity types"
        )
    return dataclasses.replace(found, name=relation.name)


def _names(known: Collection[str]) -> str:
    shown = ", ".join(repr(name) for name in list(known)[:20])
    return f"{shown}, ..." if len(known) > 20 else shown
