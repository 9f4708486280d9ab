# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rules for what is measured, and for what a measurement decides."""

from twhin.config.faults import Faults
from twhin.config.settings import (
    Data,
    Evaluation,
    Graph,
    Mixture,
    ScheduleKind,
    TrainConfig,
)
from twhin.config.validate_graph import check_relation_name


def check_evaluation(evaluation: Evaluation, graph: Graph, faults: Faults) -> None:
    """Checks what is measured."""
    faults.check_at_least("evaluation.num_candidates", evaluation.num_candidates, 0)
    faults.check_at_least("evaluation.num_edges", evaluation.num_edges, 0)
    for index, name in enumerate(evaluation.retrieval_relations):
        where = f"evaluation.retrieval_relations[{index}]"
        check_relation_name(where, name, graph, faults)
    for field in ("hits_at", "retrieval_at"):
        cuts = getattr(evaluation, field)
        for index, cut in enumerate(cuts):
            faults.check_at_least(f"evaluation.{field}[{index}]", cut, 1)
        if len(set(cuts)) < len(cuts):
            faults.add(
                f"evaluation.{field}",
                f"a number is repeated in {list(cuts)}",
                "allowed: each number once",
            )
    faults.check_at_least("evaluation.interval_epochs", evaluation.interval_epochs, 0)
    faults.check_at_least(
        "evaluation.early_stopping_patience", evaluation.early_stopping_patience, 0
    )
    if evaluation.mixture is not None:
        check_mixture(evaluation.mixture, faults)
        if not evaluation.retrieval_relations:
            faults.add(
                "evaluation.mixture",
                "no retrieval to measure it by",
                "allowed: with evaluation.retrieval_relations",
            )


def check_mixture(mixture: Mixture, faults: Faults) -> None:
    """Checks the clusters that stand for a lhs entity."""
    where = "evaluation.mixture"
    faults.check_at_least(f"{where}.num_clusters", mixture.num_clusters, 1)
    faults.check_at_least(f"{where}.num_interests", mixture.num_interests, 1)
    faults.check_range(f"{where}.smoothing", mixture.smoothing, "[0, 1]")
    faults.check_at_least(f"{where}.num_neighbors", mixture.num_neighbors, 1)


def check_best_metric(config: TrainConfig, faults: Faults) -> None:
    """Checks that the metric which decides is measured, and given where needed."""
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
        check_relation_name(where, relation, config.graph, faults)
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
        rankings = ["retrieval"]
        if evaluation.mixture is not None:
            rankings.append("retrieval/mixture")
        known += [
            f"{ranking}/{name}@{cut}"
            for ranking in rankings
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
