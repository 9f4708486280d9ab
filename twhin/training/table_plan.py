# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Which rank holds what of which table: torchrec's planner, and its bounds."""

import os
from collections.abc import Mapping, Sequence

import torch
import torch.distributed as dist
from torch.distributed.remote_device import _remote_device
from torchrec.distributed.embedding import EmbeddingCollectionSharder
from torchrec.distributed.embedding_types import EmbeddingComputeKernel
from torchrec.distributed.planner import EmbeddingShardingPlanner
from torchrec.distributed.planner.storage_reservations import (
    FixedPercentageStorageReservation,
)
from torchrec.distributed.planner.types import (
    HardwareConfig,
    KernelConfig,
    ParameterConstraints,
    PlannerError,
    PlannerErrorType,
    Topology,
    TopologyFactory,
    TrainerConfig,
)
from torchrec.distributed.sharding_plan import placement
from torchrec.distributed.types import ParameterSharding, ShardingPlan
from torchrec.modules.embedding_modules import EmbeddingCollection

from twhin.config.settings import Placement, Sharding, Table
from twhin.errors import ConfigError
from twhin.graph.schema import GraphSchema
from twhin.training.table_rules import bytes_per_row

_COMPUTE_KERNELS = {
    Placement.DEVICE: EmbeddingComputeKernel.FUSED,
    Placement.UVM: EmbeddingComputeKernel.FUSED_UVM,
    Placement.UVM_CACHING: EmbeddingComputeKernel.FUSED_UVM_CACHING,
}


# What the planner leaves of the memory to everything else.
_RESERVED_SHARE = 0.1


def make_plan(
    collection: EmbeddingCollection,
    *,
    tables: Mapping[str, Table],
    sharder: EmbeddingCollectionSharder,
    embedding_dim: int,
    device: torch.device,
) -> ShardingPlan:
    """Lays the tables over the ranks of the default process group.

    Args:
      collection: The tables, on the meta device.
      tables: The settings of each table by name.
      sharder: What will cut the tables.
      embedding_dim: D.
      device: This rank's device.

    Returns:
      The plan, equal on all ranks.

    Raises:
      ConfigError: The tables do not fit into the memory of the ranks.
    """
    world_size = dist.get_world_size()
    constraints = {}
    for config in collection.embedding_configs():
        name, table = config.name, tables[config.name]
        sharding = _possible_sharding(table, config.num_embeddings, world_size)
        constraints[name] = ParameterConstraints(
            sharding_types=[sharding.value],
            compute_kernels=[_COMPUTE_KERNELS[table.placement].value],
            min_partition=embedding_dim // world_size,
            stochastic_rounding=table.stochastic_rounding,
        )
    planner = EmbeddingShardingPlanner(
        topology=_topology(device, world_size),
        constraints=constraints,
        storage_reservation=FixedPercentageStorageReservation(_RESERVED_SHARE),
    )
    try:
        plan: ShardingPlan = planner.collective_plan(
            collection, [sharder], dist.group.WORLD
        )
    except PlannerError as error:
        if error.error_type is not PlannerErrorType.INSUFFICIENT_STORAGE:
            raise
        raise ConfigError(
            "graph.entity_types: the tables do not fit into the memory of"
            f" {world_size} ranks; allowed: fewer or shorter rows, 'float16' rows, or"
            " an optimizer with less state"
        ) from error
    for module_plan in plan.plan.values():
        for sharding in module_plan.values():
            if sharding.sharding_type == Sharding.COLUMN_WISE.value:
                _spread_columns(sharding, device)
    return plan


def describe_plan(
    schema: GraphSchema, tables: Mapping[str, Table], embedding_dim: int
) -> Sequence[str]:
    """Returns a line of key=value for each table, and one for their sum."""
    lines, total = [], 0
    for entity_type in schema.entity_types:
        table = tables[entity_type.name]
        size = entity_type.num_entities * bytes_per_row(table, embedding_dim)
        total += size
        lines.append(
            f"table={entity_type.name} rows={entity_type.num_entities}"
            f" dim={embedding_dim} dtype={table.dtype} optimizer={table.optimizer}"
            f" kernel={table.kernel} sharding={table.sharding}"
            f" placement={table.placement} size_mib={size / 2**20:.1f}"
        )
    lines.append(f"tables={len(lines)} size_mib={total / 2**20:.1f}")
    return lines


def _spread_columns(sharding: ParameterSharding, device: torch.device) -> None:
    """Gives each rank one range of columns; the planner may give one rank several."""
    shards = sharding.sharding_spec.shards
    sharding.ranks = list(range(len(shards)))
    for rank, shard in enumerate(shards):
        place = placement(device.type, rank, _local_world_size())
        shard.placement = _remote_device(place)


def _possible_sharding(table: Table, num_rows: int, world_size: int) -> Sharding:
    """Returns how a table is cut; one that is too small for all ranks is not cut."""
    rows_per_rank = -(-num_rows // world_size)
    # fbgemm's kernels cannot hold a part without rows.
    if table.sharding is Sharding.ROW_WISE and (
        rows_per_rank * (world_size - 1) >= num_rows
    ):
        return Sharding.TABLE_WISE
    return table.sharding


def _topology(device: torch.device, world_size: int) -> Topology:
    """Returns the memory of the ranks in the planner's terms."""
    local_world_size = _local_world_size()
    host_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    device_bytes = None
    if device.type == "cuda":
        device_bytes = torch.cuda.get_device_properties(device).total_memory
    return TopologyFactory.create_topology(
        trainer_config=TrainerConfig(
            world_size=world_size, local_world_size=local_world_size
        ),
        hardware_config=HardwareConfig(
            hbm_cap_bytes=device_bytes, ddr_cap_bytes=host_bytes // local_world_size
        ),
        kernel_config=KernelConfig(compute_device=device.type),
    )


def _local_world_size() -> int:
    """Returns the number of ranks on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", dist.get_world_size()))
