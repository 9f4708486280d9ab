# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rules for the model, its objective, its training and what that leaves."""

from twhin.config.faults import Faults, names, quote
from twhin.config.settings import (
    Checkpoint,
    Export,
    Loss,
    LossKind,
    Model,
    Negatives,
    Optimizer,
    Runtime,
    Schedule,
    Training,
)
from twhin.config.validate_graph import DENSE_OPTIMIZERS


def check_model(model: Model, faults: Faults) -> None:
    """Checks the form of embeddings."""
    faults.check_range("model.embedding_dim", model.embedding_dim, "[1, 4096]")
    faults.check_range("model.init_scale", model.init_scale, "(0, inf)")
    faults.check_range("model.dropout", model.dropout, "[0, 1)")
    faults.check_range("model.init_hops", model.init_hops, "[0, 32]")


def check_negatives(negatives: Negatives, faults: Faults) -> None:
    """Checks that there are negatives, and that their kinds go together."""
    faults.check_at_least("negatives.chunk_size", negatives.chunk_size, 1)
    faults.check_at_least("negatives.num_uniform", negatives.num_uniform, 0)
    faults.check_at_least("negatives.num_by_degree", negatives.num_by_degree, 0)
    faults.check_range("negatives.degree_alpha", negatives.degree_alpha, "[0, 1]")
    kinds = [
        field
        for field in ("in_batch", "num_uniform", "num_by_degree")
        if getattr(negatives, field)
    ]
    if negatives.all_entities and kinds:
        faults.add(
            "negatives.all_entities",
            f"{kinds[0]!r} is set too",
            "allowed: all entities, or the other kinds",
        )
    if not negatives.all_entities and not kinds:
        faults.add(
            "negatives",
            "no negatives",
            "allowed: 'in_batch', 'num_uniform', 'num_by_degree' or 'all_entities'",
        )
    if negatives.logq_correction and not set(kinds) & {"in_batch", "num_by_degree"}:
        faults.add(
            "negatives.logq_correction",
            "nothing to correct",
            "allowed: with 'in_batch' or 'num_by_degree'",
        )
    if negatives.share_across_ranks and not negatives.in_batch:
        faults.add(
            "negatives.share_across_ranks",
            "nothing to share",
            "allowed: with 'in_batch'",
        )


def check_loss(loss: Loss, faults: Faults) -> None:
    """Checks the training objective."""
    contrastive = loss.kind is LossKind.COSINE_CONTRASTIVE
    margins = "[-1, 1)" if contrastive else "[0, inf)"
    faults.check_range("loss.temperature", loss.temperature, "(0, inf)")
    faults.check_range("loss.margin", loss.margin, margins)
    faults.check_range(
        "loss.adversarial_temperature", loss.adversarial_temperature, "[0, inf)"
    )
    faults.check_range("loss.negative_weight", loss.negative_weight, "(0, inf)")
    faults.check_range("loss.lhs_weight", loss.lhs_weight, "[0, inf)")
    faults.check_range("loss.rhs_weight", loss.rhs_weight, "[0, inf)")
    if loss.lhs_weight == loss.rhs_weight == 0:
        faults.add("loss.rhs_weight", "both sides weigh 0", "allowed: one above 0")
    faults.check_range("loss.l2", loss.l2, "[0, inf)")
    faults.check_range("loss.n3", loss.n3, "[0, inf)")
    faults.check_range("loss.dura", loss.dura, "[0, inf)")
    faults.check_range("loss.relation_weight", loss.relation_weight, "[0, inf)")


def check_optimizer(where: str, optimizer: Optimizer, faults: Faults) -> None:
    """Checks an update rule."""
    faults.check_range(f"{where}.learning_rate", optimizer.learning_rate, "(0, inf)")
    faults.check_range(f"{where}.eps", optimizer.eps, "(0, 1)")
    faults.check_range(f"{where}.beta1", optimizer.beta1, "[0, 1)")
    faults.check_range(f"{where}.beta2", optimizer.beta2, "[0, 1)")


def check_relation_optimizer(optimizer: Optimizer, faults: Faults) -> None:
    """Checks the update rule of the relation parameters, which are not tables."""
    check_optimizer("relation_optimizer", optimizer, faults)
    if optimizer.kind not in DENSE_OPTIMIZERS:
        faults.add(
            "relation_optimizer.kind",
            f"{quote(optimizer.kind)} is for tables",
            f"allowed: {names(DENSE_OPTIMIZERS)}",
        )


def check_schedule(schedule: Schedule, faults: Faults) -> None:
    """Checks the learning rate over time."""
    faults.check_at_least("schedule.num_warmup_steps", schedule.num_warmup_steps, 0)
    faults.check_range("schedule.final_factor", schedule.final_factor, "[0, 1]")
    faults.check_at_least("schedule.step_epochs", schedule.step_epochs, 1)
    faults.check_range("schedule.step_factor", schedule.step_factor, "(0, 1)")
    faults.check_at_least("schedule.plateau_patience", schedule.plateau_patience, 1)


def check_training(training: Training, faults: Faults) -> None:
    """Checks length and form of training."""
    faults.check_at_least("training.num_epochs", training.num_epochs, 1)
    if training.max_steps is not None:
        faults.check_at_least("training.max_steps", training.max_steps, 1)
    faults.check_at_least("training.batch_size", training.batch_size, 1)
    faults.check_at_least("training.seed", training.seed, 0)
    faults.check_at_least("training.shuffle_window", training.shuffle_window, 1)
    faults.check_range(
        "training.max_gradient_norm", training.max_gradient_norm, "[0, inf)"
    )
    faults.check_at_least("training.log_interval_steps", training.log_interval_steps, 1)


def check_checkpoint(checkpoint: Checkpoint, faults: Faults) -> None:
    """Checks when state is saved."""
    faults.check_at_least("checkpoint.interval_steps", checkpoint.interval_steps, 0)
    faults.check_at_least("checkpoint.keep_last", checkpoint.keep_last, 1)


def check_runtime(runtime: Runtime, faults: Faults) -> None:
    """Checks threads and timeouts."""
    if runtime.num_threads is not None:
        faults.check_at_least("runtime.num_threads", runtime.num_threads, 1)
    faults.check_at_least(
        "runtime.collective_timeout_secs", runtime.collective_timeout_secs, 1
    )


def check_export(export: Export, faults: Faults) -> None:
    """Checks the bundle that training leaves."""
    faults.check_at_least("export.num_shards", export.num_shards, 1)
    faults.check_range("export.index_recall", export.index_recall, "(0, 1]")
    faults.check_at_least("export.keep_last", export.keep_last, 1)
