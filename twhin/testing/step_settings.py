# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Settings of a step: tables, negatives and loss, plain ones with changes."""

from dataclasses import replace
from typing import Any

from twhin.config.settings import (
    Dtype,
    FrozenRows,
    Kernel,
    KnownEdges,
    Loss,
    LossKind,
    Negatives,
    Optimizer,
    OptimizerKind,
    Placement,
    Sharding,
    Table,
)


def make_table(**changes: Any) -> Table:
    """Returns the default settings of a table, with changes."""
    default = Table(
        dtype=Dtype.FLOAT32,
        learning_rate=0.1,
        optimizer=OptimizerKind.ROWWISE_ADAGRAD,
        sharding=Sharding.ROW_WISE,
        kernel=Kernel.FUSED,
        placement=Placement.DEVICE,
        stochastic_rounding=False,
        l2_to_prior=0.0,
        frozen_rows=FrozenRows.NONE,
    )
    return replace(default, **changes)


def make_optimizer(**changes: Any) -> Optimizer:
    """Returns the default numbers of update rules, with changes."""
    default = Optimizer(
        kind=OptimizerKind.ROWWISE_ADAGRAD,
        learning_rate=0.1,
        eps=1e-8,
        beta1=0.9,
        beta2=0.999,
    )
    return replace(default, **changes)


def make_negatives(**changes: Any) -> Negatives:
    """Returns ten uniform negatives a chunk, with changes."""
    default = Negatives(
        chunk_size=4,
        in_batch=False,
        num_uniform=10,
        num_by_degree=0,
        degree_alpha=0.75,
        all_entities=False,
        logq_correction=False,
        mask_known=KnownEdges.BATCH,
        share_across_ranks=False,
    )
    return replace(default, **changes)


def make_loss_settings(**changes: Any) -> Loss:
    """Returns a softmax loss with factors of 1 and no penalty, with changes."""
    default = Loss(
        kind=LossKind.SOFTMAX,
        temperature=1.0,
        margin=1.0,
        adversarial_temperature=1.0,
        negative_weight=1.0,
        lhs_weight=1.0,
        rhs_weight=1.0,
        l2=0.0,
        n3=0.0,
        dura=0.0,
        relation_weight=0.0,
    )
    return replace(default, **changes)
