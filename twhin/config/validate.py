# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rules of a whole configuration: those of each message, and those between them."""

from collections.abc import Mapping

from twhin.config import validate_data, validate_graph, validate_training
from twhin.config.faults import Faults, names
from twhin.config.settings import (
    Comparator,
    Data,
    Device,
    Evaluation,
    LossKind,
    Operator,
    OptimizerKind,
    Precision,
    ScheduleKind,
    TrainConfig,
)

TRANSPOSED_OPERATORS: Mapping[Comparator, frozenset[Operator]] = {
    Comparator.DOT: frozenset(Operator),
    Comparator.COSINE: frozenset({Operator.IDENTITY, Operator.ROTATION}),
    Comparator.NEGATIVE_L2: frozenset(
        {Operator.IDENTITY, Operator.TRANSLATION, Operator.ROTATION}
    ),
    Comparator.NEGATIVE_SQUARED_L2: frozenset(
        {Operator.IDENTITY, Operator.TRANSLATION, Operator.ROTATION}
    ),
    Comparator.NEGATIVE_L1: frozenset({Operator.IDENTITY, Operator.TRANSLATION}),
}
"""For each comparator the operators for which compare(operator(lhs), rhs) is
compare(lhs, q) plus a constant, with a q that depends on the rhs alone."""


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
    for where in ("optimizer", "relation_optimizer"):
        validate_training.check_optimizer(where, getattr(config, where), faults)
    validate_training.check_schedule(config.schedule, faults)
    validate_training.check_training(config.training, faults)
    validate_training.check_evaluation(config.evaluation, faults)
    validate_training.check_checkpoint(config.checkpoint, faults)
    validate_training.check_runtime(config.runtime, faults)
    _check_operators(config, faults)
    _check_objective(config, faults)
    _check_device(config, faults)
    _check_retrieval_relations(config, faults)
    _check_best_metric(config, faults)
    faults.raise_if_any()


def _check_operators(config: TrainConfig, faults: Faults) -> None:
    model = config.model
    transposed = TRANSPOSED_OPERATORS[model.comparator]
    for index, relation in enumerate(config.graph.relations):
        where = f"graph.relations[{index}].operator"
        operator = relation.operator
        is_complex = operator in (Operator.COMPLEX_DIAGONAL, Operator.ROTATION)
        if is_complex and model.embedding_dim % 2:
            faults.add(
                where,
                f"{str(operator)!r} halves model.embedding_dim {model.embedding_dim}",
                "allowed: an even dimension",
            )
        if not model.reciprocal and operator not in transposed:
            faults.add(
                where,
                f"{str(operator)!r} cannot rank the lhs by {str(model.comparator)!r}"
                " without model.reciprocal",
                f"allowed: reciprocal relations, or {names(transposed)}",
            )


def _check_objective(config: TrainConfig, faults: Faults) -> None:
    contrastive = config.loss.kind is LossKind.COSINE_CONTRASTIVE
    if contrastive and config.model.comparator is not Comparator.COSINE:
        faults.add(
            "loss.kind",
            f"'cosine_contrastive' with model.comparator"
            f" {str(config.model.comparator)!r}",
            "allowed: with 'cosine'",
        )
    if config.negatives.num_by_degree and config.data.encoded is not None:
        faults.add(
            "negatives.num_by_degree",
            f"{config.negatives.num_by_degree} without degrees",
            "allowed: 0, as data.encoded has no vocabulary",
        )


def _check_device(config: TrainConfig, faults: Faults) -> None:
    if config.runtime.device is not Device.CPU:
        return
    on_cpu = names(set(OptimizerKind) - {OptimizerKind.ADAM})
    if config.optimizer.kind is OptimizerKind.ADAM:
        faults.add("optimizer.kind", "'adam' on the CPU", f"allowed: {on_cpu}")
    else:
        for index, entity_type in enumerate(config.graph.entity_types):
            if entity_type.table.optimizer is OptimizerKind.ADAM:
                faults.add(
                    f"graph.entity_types[{index}].table.optimizer",
                    "'adam' on the CPU",
                    f"allowed: {on_cpu}",
                )
    if config.training.precision is Precision.TF32:
        faults.add(
            "training.precision", "'tf32' on the CPU", "allowed: 'bfloat16', 'float32'"
        )


def _check_retrieval_relations(config: TrainConfig, faults: Faults) -> None:
    for index, name in enumerate(config.evaluation.retrieval_relations):
        where = f"evaluation.retrieval_relations[{index}]"
        validate_graph.check_relation_name(where, name, config.graph, faults)


def _check_best_metric(config: TrainConfig, faults: Faults) -> None:
    evaluation = config.evaluation
    where = "evaluation.best_metric"
    if evaluation.best_metric is None:
        if evaluation.early_stopping_patience > 0:
            faults.add(where, "missing", "needed by evaluation.early_stopping_patience")
        if config.schedule.kind is ScheduleKind.PLATEAU:
            faults.add(where, "missing", "needed by schedule.kind 'plateau'")
        return
    metric, slash, relation = evaluation.best_metric.partition("/relation=")
    known = _metrics(evaluation)
    if metric not in known:
        faults.add_unknown(where, "metric", metric, known)
    if slash:
        validate_graph.check_relation_name(where, relation, config.graph, faults)
    if not _has_validation_edges(config.data):
        faults.add(where, "no validation edges", "allowed: unset")
    if evaluation.interval_epochs == 0:
        faults.add(
            "evaluation.interval_epochs",
            "0 never measures evaluation.best_metric",
            "allowed: at least 1",
        )


def _metrics(evaluation: Evaluation) -> list[str]:
    """Returns the names of the metrics of a split for which larger is better."""
    known = []
    if evaluation.link_prediction:
        ranked = ["mrr", *(f"hits@{cut}" for cut in evaluation.hits_at)]
        known += [
            f"link_prediction/{setting}/{name}"
            for setting in ("raw", "filtered")
            for name in ranked
        ]
    if evaluation.retrieval_relations:
        known += [
            f"retrieval/{name}@{cut}"
            for name in ("recall", "ndcg", "hit_rate")
            for cut in evaluation.retrieval_at
        ]
    return known


def _has_validation_edges(data: Data) -> bool:
    if data.encoded is not None:
        return bool(data.encoded.valid)
    if data.raw is not None:
        return bool(data.raw.valid) or data.raw.holdout.valid_fraction > 0
    return True
