# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rules of a whole configuration: those of each message, and those between them."""

from twhin.config import (
    validate_data,
    validate_device,
    validate_evaluation,
    validate_graph,
    validate_training,
    validate_warm_start,
)
from twhin.config.faults import Faults, names, quote
from twhin.config.settings import LossKind, Placement, Projection, Sharding, TrainConfig
from twhin.scoring import Comparator, Operator, has_transpose

ROTATED_OPERATORS = frozenset(
    {Operator.IDENTITY, Operator.TRANSLATION, Operator.LINEAR, Operator.AFFINE}
)
"""The operators of which there is one that does to turned vectors what it does."""


def validate(config: TrainConfig) -> None:
    """Checks resolved settings.

    Raises:
      ConfigError: At least one rule is broken; the message has a line for each.
    """
    faults = Faults()
    validate_graph.check_graph(config.graph, faults)
    validate_data.check_data(config.data, config.graph, faults)
    validate_training.check_model(config.model, faults)
    validate_training.check_negatives(config.negatives, faults)
    validate_training.check_loss(config.loss, faults)
    validate_training.check_optimizer("optimizer", config.optimizer, faults)
    validate_training.check_relation_optimizer(config.relation_optimizer, faults)
    validate_training.check_schedule(config.schedule, faults)
    validate_training.check_training(config.training, faults)
    validate_training.check_checkpoint(config.checkpoint, faults)
    validate_training.check_runtime(config.runtime, faults)
    validate_training.check_export(config.export, faults)
    validate_evaluation.check_evaluation(config.evaluation, config.graph, faults)
    validate_evaluation.check_best_metric(config, faults)
    validate_warm_start.check_warm_start(config.warm_start, config.data, faults)
    validate_warm_start.check_prior(config.graph, config.warm_start, faults)
    validate_device.check_device(config, faults)
    _check_operators(config, faults)
    _check_objective(config, faults)
    _check_projection(config, faults)
    _check_alignment(config, faults)
    faults.raise_if_any()


def _check_operators(config: TrainConfig, faults: Faults) -> None:
    model = config.model
    transposed = [one for one in Operator if has_transpose(one, model.comparator)]
    for index, relation in enumerate(config.graph.relations):
        where = f"graph.relations[{index}].operator"
        operator = relation.operator
        is_complex = operator in (Operator.COMPLEX_DIAGONAL, Operator.ROTATION)
        if is_complex and model.embedding_dim % 2:
            faults.add(
                where,
                f"{quote(operator)} halves model.embedding_dim {model.embedding_dim}",
                "allowed: an even dimension",
            )
        if not model.reciprocal and operator not in transposed:
            faults.add(
                where,
                f"{quote(operator)} cannot rank the lhs by {quote(model.comparator)}"
                " without model.reciprocal",
                f"allowed: reciprocal relations, or {names(transposed)}",
            )


def _check_relation_weight(config: TrainConfig, faults: Faults) -> None:
    field = "loss.relation_weight"
    if config.model.comparator is Comparator.NEGATIVE_L1:
        others = set(Comparator) - {Comparator.NEGATIVE_L1}
        faults.add(
            field,
            f"above 0 with model.comparator {quote(config.model.comparator)}",
            f"allowed: with {names(others)}",
        )
    operators: dict[tuple[str, str], list[Operator]] = {}
    for relation in config.graph.relations:
        count = 2 if relation.name == validate_graph.WILDCARD else 1
        same = operators.setdefault((relation.lhs, relation.rhs), [])
        same.extend([relation.operator] * count)
    if not any(
        len(same) > 1 and set(same) != {Operator.IDENTITY}
        for same in operators.values()
    ):
        faults.add(
            field,
            "above 0, and no two relations to tell apart",
            "allowed: with several relations between the same entity types, one of"
            " them with an operator other than 'identity'",
        )


def _check_objective(config: TrainConfig, faults: Faults) -> None:
    contrastive = config.loss.kind is LossKind.COSINE_CONTRASTIVE
    if contrastive and config.model.comparator is not Comparator.COSINE:
        faults.add(
            "loss.kind",
            f"'cosine_contrastive' with model.comparator"
            f" {quote(config.model.comparator)}",
            "allowed: with 'cosine'",
        )
    if config.loss.dura > 0 and config.model.comparator is not Comparator.DOT:
        faults.add(
            "loss.dura",
            f"above 0 with model.comparator {quote(config.model.comparator)}",
            "allowed: with 'dot'",
        )
    if config.loss.relation_weight > 0:
        _check_relation_weight(config, faults)
    if config.negatives.num_by_degree and config.data.encoded is not None:
        faults.add(
            "negatives.num_by_degree",
            f"{config.negatives.num_by_degree} without degrees",
            "allowed: 0, as data.encoded has no vocabulary",
        )


def _check_projection(config: TrainConfig, faults: Faults) -> None:
    if config.model.projection is Projection.NONE:
        return
    projection = f"model.projection {quote(config.model.projection)}"
    for index, entity_type in enumerate(config.graph.entity_types):
        where = f"graph.entity_types[{index}].table"
        if entity_type.table.sharding is Sharding.COLUMN_WISE:
            faults.add(
                f"{where}.sharding",
                f"'column_wise' cuts rows, which {projection} needs whole",
                "allowed: 'row_wise', 'table_wise'",
            )
        if entity_type.table.placement is Placement.UVM_CACHING:
            faults.add(
                f"{where}.placement",
                f"'uvm_caching' keeps rows where {projection} cannot reach them",
                "allowed: 'device', 'uvm'",
            )


def _check_alignment(config: TrainConfig, faults: Faults) -> None:
    """Checks that scores stay when all vectors are turned."""
    if not config.export.align_to_previous:
        return
    if config.model.comparator is Comparator.NEGATIVE_L1:
        faults.add(
            "export.align_to_previous",
            f"turned vectors have other scores with {quote(config.model.comparator)}",
            "allowed: with other comparators, or false",
        )
    for index, relation in enumerate(config.graph.relations):
        if relation.operator not in ROTATED_OPERATORS:
            faults.add(
                "export.align_to_previous",
                f"{quote(relation.operator)} of graph.relations[{index}] treats"
                " dimensions one by one",
                f"allowed: with {names(ROTATED_OPERATORS)}, or false",
            )
