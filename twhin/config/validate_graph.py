# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rules for entity types and relations."""

import re
from collections.abc import Iterable

from twhin.config.faults import Faults, names, quote
from twhin.config.settings import (
    Dtype,
    EntityType,
    Graph,
    Kernel,
    OptimizerKind,
    Placement,
    Relation,
    Sharding,
    Table,
)

WILDCARD = "*"
DENSE_OPTIMIZERS = frozenset(
    {OptimizerKind.SGD, OptimizerKind.ADAGRAD, OptimizerKind.ADAM}
)
"""The update rules that exist for a gradient as large as the parameters."""
_WHOLE_ROW_OPTIMIZERS = frozenset(
    {
        OptimizerKind.ROWWISE_ADAGRAD,
        OptimizerKind.PARTIAL_ROWWISE_ADAM,
        OptimizerKind.LAMB,
    }
)
_ENTITY_TYPE_NAME = re.compile(r"[a-z][a-z0-9_]*")


def check_graph(graph: Graph, faults: Faults) -> None:
    """Checks a schema by itself."""
    for field in ("entity_types", "relations"):
        if not getattr(graph, field):
            faults.add(f"graph.{field}", "missing", "allowed: at least one")
    _check_unique("graph.entity_types", graph.entity_types, faults)
    _check_unique("graph.relations", graph.relations, faults)
    for index, entity_type in enumerate(graph.entity_types):
        check_entity_type(f"graph.entity_types[{index}]", entity_type, graph, faults)
    for index, relation in enumerate(graph.relations):
        check_relation(f"graph.relations[{index}]", relation, graph, faults)


def check_relation_name(where: str, name: str, graph: Graph, faults: Faults) -> None:
    """Adds a fault where no relation, and no wildcard, has the name."""
    known = [relation.name for relation in graph.relations]
    if name not in known and WILDCARD not in known:
        faults.add_unknown(where, "relation", name, known)


def check_entity_type(
    where: str, entity_type: EntityType, graph: Graph, faults: Faults
) -> None:
    """Checks one entity type."""
    name = entity_type.name
    if not _ENTITY_TYPE_NAME.fullmatch(name):
        faults.add(
            f"{where}.name",
            f"{quote(name)} is not a name" if name else "missing",
            "allowed: lower-case letters, digits and underscores, a letter first",
        )
    elif not any(name in (rel.lhs, rel.rhs) for rel in graph.relations):
        faults.add(
            f"{where}.name",
            f"no relation has the entity type {name!r}",
            "allowed: the lhs or the rhs of a relation",
        )
    if entity_type.num_entities is not None:
        faults.check_at_least(f"{where}.num_entities", entity_type.num_entities, 1)
    faults.check_at_least(f"{where}.min_degree", entity_type.min_degree, 1)
    if entity_type.max_entities is not None:
        faults.check_at_least(f"{where}.max_entities", entity_type.max_entities, 1)
    check_table(f"{where}.table", entity_type.table, faults)


def check_table(where: str, table: Table, faults: Faults) -> None:
    """Checks the settings of one table."""
    faults.check_range(f"{where}.learning_rate", table.learning_rate, "(0, inf)")
    faults.check_range(f"{where}.l2_to_prior", table.l2_to_prior, "[0, inf)")
    if table.kernel is Kernel.DENSE:
        _check_dense_table(where, table, faults)
    if table.stochastic_rounding and table.dtype is not Dtype.FLOAT16:
        faults.add(
            f"{where}.stochastic_rounding",
            f"true with dtype {quote(table.dtype)}",
            "allowed: with 'float16'",
        )
    if (
        table.sharding is Sharding.COLUMN_WISE
        and table.optimizer in _WHOLE_ROW_OPTIMIZERS
    ):
        faults.add(
            f"{where}.sharding",
            f"'column_wise' cuts rows, which the optimizer {quote(table.optimizer)}"
            " needs whole",
            f"allowed: with {names(set(OptimizerKind) - _WHOLE_ROW_OPTIMIZERS)}",
        )


def _check_dense_table(where: str, table: Table, faults: Faults) -> None:
    if table.optimizer not in DENSE_OPTIMIZERS:
        faults.add(
            f"{where}.optimizer",
            f"{quote(table.optimizer)} with kernel 'dense'",
            f"allowed: {names(DENSE_OPTIMIZERS)}",
        )
    if table.placement is not Placement.DEVICE:
        faults.add(
            f"{where}.placement",
            f"{quote(table.placement)} with kernel 'dense'",
            "allowed: 'device'",
        )
    if table.dtype is not Dtype.FLOAT32:
        faults.add(
            f"{where}.dtype",
            f"{quote(table.dtype)} with kernel 'dense'",
            "allowed: 'float32'",
        )


def check_relation(
    where: str, relation: Relation, graph: Graph, faults: Faults
) -> None:
    """Checks one relation."""
    if not relation.name:
        faults.add(f"{where}.name", "missing", "allowed: any text, '*' for the rest")
    known = {entity_type.name for entity_type in graph.entity_types} - {""}
    for side in ("lhs", "rhs"):
        entity_type = getattr(relation, side)
        if not entity_type:
            faults.add(f"{where}.{side}", "missing", "allowed: an entity type")
        elif known and entity_type not in known:
            faults.add_unknown(f"{where}.{side}", "entity type", entity_type, known)
    faults.check_range(f"{where}.loss_weight", relation.loss_weight, "[0, inf)")
    faults.check_range(f"{where}.sampling_rate", relation.sampling_rate, "(0, 1]")
    if relation.undirected and relation.lhs != relation.rhs:
        faults.add(
            f"{where}.undirected",
            f"the sides are {relation.lhs!r} and {relation.rhs!r}",
            "allowed: one entity type on both sides",
        )


def _check_unique(
    where: str, named: Iterable[EntityType | Relation], faults: Faults
) -> None:
    seen: dict[str, int] = {}
    for index, one in enumerate(named):
        first = seen.setdefault(one.name, index)
        if one.name and first != index:
            faults.add(
                f"{where}[{index}].name",
                f"{one.name!r} is the name of {where}[{first}] too",
                "allowed: each name once",
            )
