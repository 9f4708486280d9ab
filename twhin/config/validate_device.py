# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rules that depend on the device which computes."""

from twhin.config.faults import Faults, names, quote
from twhin.config.settings import (
    Device,
    Kernel,
    OptimizerKind,
    Placement,
    Precision,
    TrainConfig,
)

ON_CUDA_ONLY = frozenset(
    {OptimizerKind.ADAM, OptimizerKind.PARTIAL_ROWWISE_ADAM, OptimizerKind.LAMB}
)
"""The optimizers whose fused kernel exists for CUDA alone."""


def check_device(config: TrainConfig, faults: Faults) -> None:
    """Checks what the CPU cannot do; `auto` may still turn out to be CUDA."""
    if config.runtime.device is not Device.CPU:
        return
    _check_optimizers(config, faults)
    for index, entity_type in enumerate(config.graph.entity_types):
        where = f"graph.entity_types[{index}].table"
        table = entity_type.table
        if table.placement is not Placement.DEVICE:
            faults.add(
                f"{where}.placement",
                f"{quote(table.placement)} on the CPU",
                "allowed: 'device'",
            )
        if table.stochastic_rounding:
            faults.add(
                f"{where}.stochastic_rounding", "true on the CPU", "allowed: false"
            )
    if config.training.precision is Precision.TF32:
        faults.add(
            "training.precision", "'tf32' on the CPU", "allowed: 'bfloat16', 'float32'"
        )


def _check_optimizers(config: TrainConfig, faults: Faults) -> None:
    """Adds a fault for each table, or one for all that have the run's optimizer."""
    allowed = (
        f"allowed: {names(set(OptimizerKind) - ON_CUDA_ONLY)},"
        " or 'adam' with the table's kernel 'dense'"
    )
    is_reported = False
    for index, entity_type in enumerate(config.graph.entity_types):
        table = entity_type.table
        if table.kernel is not Kernel.FUSED or table.optimizer not in ON_CUDA_ONLY:
            continue
        what = f"{quote(table.optimizer)} in the kernel 'fused' on the CPU"
        if table.optimizer is not config.optimizer.kind:
            where = f"graph.entity_types[{index}].table.optimizer"
            faults.add(where, what, allowed)
        elif not is_reported:
            faults.add("optimizer.kind", what, allowed)
            is_reported = True
