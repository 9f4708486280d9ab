# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Which rank holds what of which table: torchrec's planner, and its bounds."""

from collections.abc import Mapping, Sequence
import os

import torch
import torch.distributed as dist
from torchrec.distributed.embedding import EmbeddingCollectionSharder
from torchrec.distributed.planner import EmbeddingShardingPlanner
from torchrec.distributed.planner.types import (
    HardwareConfig,
    KernelConfig,
    ParameterConstraints,
    Topology,
    TopologyFactory,
    TrainerConfig,
)
from torchrec.distributed.types import ShardingPlan
from torchrec.modules.embedding_modules import EmbeddingCollection

from twhin.config.settings import Dtype, OptimizerKind, Sharding, Table
from twhin.errors import ConfigError
from twhin.graph.schema import GraphSchema

_DTYPE_BYTES = {Dtype.FLOAT32: 4, Dtype.FLOAT16: 2}
# fbgemm reads rows in vectors of four elements.
_COLUMN_MULTIPLE = 4


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
      ConfigError: A table cannot be divided as its settings say.
    """
    world_size = dist.get_world_size()
    constraints = {}
    for name, table in tables.items():
        _check_columns(name, table, embedding_dim, world_size)
        constraints[name] = ParameterConstraints(
            sharding_types=[table.sharding.value],
            compute_kernels=["fused"],
            min_partition=embedding_dim // world_size,
        )
    planner = EmbeddingShardingPlanner(
        topology=_topology(device, world_size), constraints=constraints
    )
    plan: ShardingPlan = planner.collective_plan(
        collection, [sharder], dist.group.WORLD
    )
    return plan


def table_bytes(num_rows: int, embedding_dim: int, table: Table) -> int:
    """Returns the bytes of a whole table and of its optimizer's state."""
    state = {
        OptimizerKind.SGD: 0,
        OptimizerKind.ROWWISE_ADAGRAD: 4,
        OptimizerKind.ADAGRAD: 4 * embedding_dim,
        OptimizerKind.ADAM: 8 * embedding_dim,
    }[table.optimizer]
    return num_rows * (embedding_dim * _DTYPE_BYTES[table.dtype] + state)


def describe_plan(
    schema: GraphSchema, tables: Mapping[str, Table], embedding_dim: int
) -> Sequence[str]:
    """Returns a line of key=value for each table, and one for their sum."""
    lines, total = [], 0
    for entity_type in schema.entity_types:
        table = tables[entity_type.name]
        size = table_bytes(entity_type.num_entities, embedding_dim, table)
        total += size
        lines.append(
            f"table={entity_type.name} rows={entity_type.num_entities}"
            f" dim={embedding_dim} dtype={table.dtype} optimizer={table.optimizer}"
            f" sharding={table.sharding} size_mib={size / 2**20:.1f}"
        )
    lines.append(f"tables={len(lines)} size_mib={total / 2**20:.1f}")
    return lines


def _check_columns(
    name: str, table: Table, embedding_dim: int, world_size: int
) -> None:
    """Raises ConfigError where a table cannot be divided by columns."""
    if table.sharding is not Sharding.COLUMN_WISE:
        return
    where = f"graph.entity_types[{name!r}].table"
    if table.optimizer is OptimizerKind.ROWWISE_ADAGRAD:
        raise ConfigError(
            f"{where}.sharding: 'column_wise' cannot go with the optimizer"
            f" 'rowwise_adagrad', whose state belongs to whole rows;"
            f" choose 'adagrad' or 'row_wise'"
        )
    if embedding_dim % (world_size * _COLUMN_MULTIPLE):
        raise ConfigError(
            f"{where}.sharding: 'column_wise' divides {embedding_dim!r} columns by"
            f" {world_size!r} ranks; each rank needs a multiple of {_COLUMN_MULTIPLE}"
        )


def _topology(device: torch.device, world_size: int) -> Topology:
    """Returns the memory of the ranks in the planner's terms."""
    local_world_size = int(os.environ.get("LOCAL_WORLD_SIZE", world_size))
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
