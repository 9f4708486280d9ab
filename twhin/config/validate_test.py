# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Combinations of settings that are allowed, and those next to them that are not."""

from pathlib import Path

import pytest

from twhin.scoring import Comparator, Operator
from twhin.testing.config_case import ConfigCase

_I, _T, _R = Operator.IDENTITY, Operator.TRANSLATION, Operator.ROTATION
# What the comment of `Model.reciprocal` says.
_TRANSPOSED = {
    Comparator.DOT: set(Operator),
    Comparator.COSINE: {_I, _R},
    Comparator.NEGATIVE_L2: {_I, _T, _R},
    Comparator.NEGATIVE_SQUARED_L2: {_I, _T, _R},
    Comparator.NEGATIVE_L1: {_I, _T},
}


@pytest.mark.parametrize("comparator", Comparator)
@pytest.mark.parametrize("operator", Operator)
def test_lhs_is_ranked_without_reciprocal_relations_where_a_transposed_operator_is(
    tmp_path: Path, comparator: Comparator, operator: Operator
) -> None:
    case = ConfigCase(tmp_path)
    both = [f"graph.relations[{i}].operator={operator}" for i in range(2)]
    chosen = [*both, f"model.comparator={comparator}"]

    assert case.faults(*chosen) == []
    faults = case.faults(*chosen, "model.reciprocal=false")
    assert (not faults) == (operator in _TRANSPOSED[comparator])


@pytest.mark.parametrize(
    "overrides",
    [
        ["graph.entity_types[0].table={kernel: dense, optimizer: adam}"],
        ["graph.entity_types[0].table={kernel: dense, optimizer: sgd}"],
        ["graph.entity_types[0].table={optimizer: adam}", "runtime.device=cuda"],
        ["graph.entity_types[0].table={optimizer: adam}"],
        [
            "runtime.device=cpu",
            "optimizer.kind=adam",
            "graph.entity_types[0].table.kernel=dense",
            "graph.entity_types[1].table.optimizer=sgd",
        ],
        ["graph.entity_types[0].table={dtype: float16, stochastic_rounding: true}"],
        ["graph.entity_types[0].table={placement: uvm}", "model.projection=max_norm"],
        ["graph.entity_types[0].table={optimizer: adam, sharding: column_wise}"],
        ["relation_optimizer.kind=adam", "runtime.device=cpu"],
        [
            "graph.entity_types[0].table={l2_to_prior: 0.1, frozen_rows: kept}",
            "warm_start.bundle=old",
        ],
        ["warm_start={checkpoint: old, new_rows: neighbors, optimizer_state: true}"],
        ["warm_start={new_rows: vectors, vectors: start.parquet}"],
        ["negatives={in_batch: true, share_across_ranks: true, logq_correction: true}"],
        ["schedule.kind=plateau", "evaluation.best_metric=link_prediction/raw/hits@10"],
        [
            "evaluation={retrieval_relations: likes, mixture: {},"
            " best_metric: retrieval/mixture/ndcg@50}"
        ],
        ["evaluation.best_metric=link_prediction/filtered/mrr/relation=likes"],
        ["data.encoded={train: a}", "graph.entity_types=[{name: user, num_entities: 5}]",
         "graph.relations=[{name: follows, lhs: user, rhs: user}]"],
        ["data.raw={train: {paths: a}, holdout: {valid_fraction: 0.5}}",
         "graph.relations[1].name='*'", "evaluation.retrieval_relations=anything"],
    ],
)  # fmt: skip
def test_good_combination_has_no_fault(tmp_path: Path, overrides: list[str]) -> None:
    assert ConfigCase(tmp_path).faults(*overrides) == []
