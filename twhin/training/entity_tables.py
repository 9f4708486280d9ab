# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The embedding tables of all entity types, sharded over the ranks by torchrec."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
import torch.distributed as dist
from fbgemm_gpu.split_table_batched_embeddings_ops_common import BoundsCheckMode
from torch import Tensor
from torchrec.distributed import comm_ops
from torchrec.distributed.embedding import EmbeddingCollectionSharder
from torchrec.distributed.embedding_sharding import USE_ONE_TBE_PER_TABLE
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.types import ShardingEnv
from torchrec.modules.embedding_configs import DataType, EmbeddingConfig
from torchrec.modules.embedding_modules import EmbeddingCollection
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from twhin.checkpoint.table_part import TablePart
from twhin.config.settings import (
    Dtype,
    Kernel,
    Optimizer,
    OptimizerKind,
    Projection,
    Table,
)
from twhin.graph.schema import GraphSchema
from twhin.training import row_init, table_plan, table_rules
from twhin.training.dense_table_kernel import DenseTableKernel
from twhin.training.parallel_table_kernel import ParallelTableKernel, is_parallel
from twhin.training.table_kernel import FusedTableKernel, TableKernel
from twhin.training.table_rules import UPDATE_RULES

_DATA_TYPES = {Dtype.FLOAT32: DataType.FP32, Dtype.FLOAT16: DataType.FP16}


class EntityTables:
    """One table per entity type; a rank holds a part of each.

    torchrec shards an `EmbeddingCollection` by `DistributedModelParallel`; the
    update of a row is fused into the backward pass of its lookup. Gradients are
    summed over the ranks, never divided by their number, so that the update
    does not depend on it. One rank alone looks its rows up directly, without
    the exchange.
    """

    def __init__(
        self,
        *,
        schema: GraphSchema,
        tables: Mapping[str, Table],
        embedding_dim: int,
        optimizer: Optimizer,
        device: torch.device,
    ) -> None:
        """Creates the tables, with undefined rows, on all ranks of the job.

        Args:
          schema: Names and sizes of the entity types.
          tables: The settings of each entity type's table.
          embedding_dim: D.
          optimizer: The numbers of update rules that all tables share: `eps`,
            `beta1` and `beta2`.
          device: This rank's device.

        Raises:
          ConfigError: A table's settings do not go together, or not on this device.
        """
        # Off for the whole process: the default is on and depends on the world.
        comm_ops.set_gradient_division(False)
        self.embedding_dim = embedding_dim
        self._schema = schema
        self._tables = dict(tables)
        self._device = device
        self._world_size = dist.get_world_size()
        self._names = [entity_type.name for entity_type in schema.entity_types]
        for name in self._names:
            table_rules.check_table(
                name,
                tables[name],
                embedding_dim=embedding_dim,
                world_size=self._world_size,
                device=device,
            )
        self._model = self._shard(self._make_collection(optimizer))
        self._kernels = self._wrap_kernels(optimizer)

    @property
    def has_dense_kernels(self) -> bool:
        """Whether a step updates a whole table, by operations of torch."""
        return any(isinstance(k, DenseTableKernel) for k in self._all_kernels())

    @property
    def are_in_memory(self) -> bool:
        """Whether `refer` and `update` serve all tables."""
        return all(isinstance(k, ParallelTableKernel) for k in self._all_kernels())

    def initialize(self, *, init_scale: float, seed: int) -> None:
        """Draws every row from N(0, init_scale^2), equally for any world size."""
        for name in self._names:
            for part in self.local_blocks(name):
                row_init.initialize_rows(
                    part,
                    table=name,
                    num_rows=self._schema.num_entities(name),
                    embedding_dim=self.embedding_dim,
                    init_scale=init_scale,
                    seed=seed,
                )

    def lookup(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the embeddings of rows; their backward updates the tables.

        A collective: each rank calls it once per step, and runs backward through
        all results or through none.

        Args:
          rows: For every entity type [n] int64, duplicates allowed, n may be 0.

        Returns:
          For every entity type [n, D] float32, in the order of `rows`.

        Raises:
          IndexError: A row is not in its table. Rows on a CUDA device are checked
            by its kernel, which ends the process.
        """
        for name in self._names:
            self._check_rows(name, rows[name])
        if self._world_size == 1:
            return {
                name: self._kernels[name][0].lookup(rows[name].to(self._device))
                for name in self._names
            }
        per_table = [rows[name] for name in self._names]
        features = KeyedJaggedTensor(
            keys=self._names,
            values=torch.cat(per_table),
            lengths=torch.tensor([len(table) for table in per_table]),
            stride=1,
        )
        found = self._model(features.to(self._device))
        return {name: found[name].values() for name in self._names}

    def refer(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the whole tables instead of copies of their rows.

        Where `are_in_memory`; `update` then takes the place of a backward pass.

        Args:
          rows: As `lookup` takes them; those of the tables that will be read.

        Returns:
          For every entity type [n, D] float32, its table, not to be written.

        Raises:
          IndexError: A row is not in its table.
        """
        for name in self._names:
            self._check_rows(name, rows[name])
        return {name: self._in_memory(name).refer(rows[name]) for name in self._names}

    def update(
        self, rows: Mapping[str, Tensor], gradients: Mapping[str, Tensor]
    ) -> None:
        """Updates the rows that `refer` was called with.

        Args:
          rows: For every entity type [k] int64, duplicates allowed.
          gradients: For every entity type [k, D] float32.
        """
        for name in self._names:
            self._in_memory(name).update(rows[name], gradients[name])

    def step(self) -> None:
        """Updates the tables with dense kernels; others are updated by backward.

        Each rank calls it once per step, after the backward pass.
        """
        for kernel in self._all_kernels():
            kernel.step()

    def set_learning_rate_factor(self, factor: float) -> None:
        """Sets each table's step size to `factor` times its own.

        It holds for the lookups that follow: fbgemm takes the step size then.
        """
        for kernel in self._all_kernels():
            kernel.set_learning_rate(factor * self._tables[kernel.name].learning_rate)

    def set_step(self, step: int) -> None:
        """Sets the number of updates so far, after loading a checkpoint."""
        for kernel in self._all_kernels():
            kernel.set_step(step)

    def local_blocks(self, entity_type: str) -> list[TablePart]:
        """Returns this rank's parts of a table, as views; there may be none."""
        return [kernel.part() for kernel in self._kernels[entity_type]]

    def record_touched_rows(self) -> None:
        """Remembers from now on which rows are looked up.

        Raises:
          ConfigError: A table's rows cannot be changed after a step.
        """
        for name in self._names:
            table_rules.check_projection(name, self._tables[name])
        for kernel in self._all_kernels():
            kernel.record_touched_rows()

    def take_touched_rows(self) -> dict[str, Tensor]:
        """Returns the rows that may have changed since the last call.

        Returns:
          By entity type [n] int64, each row once, counted from the first row of
          this rank's part; types without a part have no entry.
        """
        return {
            kernel.name: kernel.take_touched_rows() for kernel in self._all_kernels()
        }

    def project(self, projection: Projection, touched: Mapping[str, Tensor]) -> None:
        """Applies a constraint to rows that `take_touched_rows` gave."""
        for kernel in self._all_kernels():
            kernel.project(projection, touched[kernel.name])

    def describe(self) -> Sequence[str]:
        """Returns lines that state the size and form of each table."""
        return table_plan.describe_plan(self._schema, self._tables, self.embedding_dim)

    def _check_rows(self, name: str, rows: Tensor) -> None:
        """Raises IndexError where a row on the CPU is not in its table."""
        if not len(rows) or rows.device.type != "cpu":
            return
        low, high = (int(bound) for bound in torch.aminmax(rows))
        num_rows = self._schema.num_entities(name)
        if low < 0 or high >= num_rows:
            raise IndexError(
                f"rows of {name!r}: {low if low < 0 else high} is out of range;"
                f" allowed: 0 to {num_rows - 1}"
            )

    def _in_memory(self, name: str) -> ParallelTableKernel:
        (kernel,) = self._kernels[name]
        assert isinstance(kernel, ParallelTableKernel)
        return kernel

    def _all_kernels(self) -> Iterator[TableKernel]:
        for kernels in self._kernels.values():
            yield from kernels

    def _make_collection(self, optimizer: Optimizer) -> EmbeddingCollection:
        """Returns the tables on the meta device with their update rules."""
        collection = EmbeddingCollection(
            device=torch.device("meta"),
            tables=[
                EmbeddingConfig(
                    name=entity_type.name,
                    num_embeddings=entity_type.num_entities,
                    embedding_dim=self.embedding_dim,
                    feature_names=[entity_type.name],
                    data_type=_DATA_TYPES[self._tables[entity_type.name].dtype],
                    # `initialize` draws the rows, or a checkpoint brings them.
                    init_fn=_keep,
                )
                for entity_type in self._schema.entity_types
            ],
        )
        for name, module in collection.embeddings.items():
            table = self._tables[name]
            if table.kernel is Kernel.DENSE:
                # Without state; the dense kernel takes the rows over.
                table = replace(table, optimizer=OptimizerKind.SGD)
            apply_optimizer_in_backward(
                UPDATE_RULES[table.optimizer].fused,
                module.parameters(),
                _arguments(table, optimizer),
            )
        return collection

    def _wrap_kernels(self, optimizer: Optimizer) -> dict[str, list[TableKernel]]:
        """Returns this rank's kernels of each table."""
        kernels: dict[str, list[TableKernel]] = {name: [] for name in self._names}
        for lookup in self._model.module._lookups:
            for embedding in lookup._emb_modules:
                table = self._tables[embedding.config.embedding_tables[0].name]
                kernel: TableKernel
                if table.kernel is Kernel.DENSE:
                    kernel = DenseTableKernel(embedding, table, optimizer)
                elif self._world_size == 1 and is_parallel(table, self._device):
                    kernel = ParallelTableKernel(embedding, table)
                else:
                    kernel = FusedTableKernel(embedding, table)
                kernels[kernel.name].append(kernel)
        return kernels

    def _shard(self, collection: EmbeddingCollection) -> DistributedModelParallel:
        """Returns the collection divided over the ranks."""
        sharder = EmbeddingCollectionSharder(
            fused_params={
                USE_ONE_TBE_PER_TABLE: True,
                # fbgemm's default maps a row out of range to row 0.
                "bounds_check_mode": BoundsCheckMode.FATAL,
            }
        )
        plan = table_plan.make_plan(
            collection,
            tables=self._tables,
            sharder=sharder,
            embedding_dim=self.embedding_dim,
            device=self._device,
        )
        return DistributedModelParallel(
            collection,
            env=ShardingEnv.from_process_group(dist.group.WORLD),
            device=self._device,
            plan=plan,
            sharders=[sharder],
            init_data_parallel=False,
            init_parameters=False,
        )


def _arguments(table: Table, optimizer: Optimizer) -> dict[str, float]:
    """Returns what fbgemm's kernel takes for a table's update rule."""
    rule = UPDATE_RULES[table.optimizer]
    arguments = {"lr": table.learning_rate}
    if rule.has_eps:
        arguments["eps"] = optimizer.eps
    if rule.has_moments:
        arguments |= {"beta1": optimizer.beta1, "beta2": optimizer.beta2}
    return arguments


def _keep(rows: Tensor) -> Tensor:
    """Leaves rows as they are."""
    return rows
