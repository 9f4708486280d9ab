# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The embedding tables of all entity types, sharded over the ranks by torchrec."""

from collections.abc import Mapping, Sequence

from fbgemm_gpu.split_table_batched_embeddings_ops_common import BoundsCheckMode
import torch
import torch.distributed as dist
from torch import Tensor
from torchrec.distributed import comm_ops
from torchrec.distributed.embedding import EmbeddingCollectionSharder
from torchrec.distributed.embedding_sharding import USE_ONE_TBE_PER_TABLE
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.types import ShardingEnv
from torchrec.modules.embedding_configs import DataType, EmbeddingConfig
from torchrec.modules.embedding_modules import EmbeddingCollection
from torchrec.optim.apply_optimizer_in_backward import apply_optimizer_in_backward
from torchrec.optim.rowwise_adagrad import RowWiseAdagrad
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from twhin.config.settings import Dtype, OptimizerKind, Projection, Table
from twhin.errors import ConfigError
from twhin.graph.schema import GraphSchema
from twhin.training import row_init, table_plan
from twhin.training.row_block import RowBlock
from twhin.training.table_kernel import TableKernel

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
        eps: float,
        device: torch.device,
    ) -> None:
        """Creates the tables, with undefined rows, on all ranks of the job.

        Args:
          schema: Names and sizes of the entity types.
          tables: The settings of each entity type's table.
          embedding_dim: D.
          eps: The term in the denominators of Adagrad and Adam.
          device: This rank's device.

        Raises:
          ConfigError: A table's optimizer or sharding is not possible here.
        """
        # Off for the whole process: the default is on and depends on the world.
        comm_ops.set_gradient_division(False)
        self.embedding_dim = embedding_dim
        self._schema = schema
        self._tables = dict(tables)
        self._device = device
        self._world_size = dist.get_world_size()
        self._names = [entity_type.name for entity_type in schema.entity_types]
        self._model = self._shard(self._make_collection(eps))
        self._kernels = {
            kernel.name: kernel
            for kernel in (
                TableKernel(embedding, tables[embedding.config.embedding_tables[0].name].optimizer)
                for lookup in self._model.module._lookups
                for embedding in lookup._emb_modules
            )
        }

    def initialize(self, *, init_scale: float, seed: int) -> None:
        """Draws every row from N(0, init_scale^2), equally for any world size."""
        for name in self._names:
            for block in self.local_blocks(name):
                row_init.initialize_rows(
                    block,
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
        """
        if self._world_size == 1:
            return {
                name: self._kernels[name].lookup(rows[name].to(self._device))
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

    def set_learning_rate_factor(self, factor: float) -> None:
        """Sets each table's step size to `factor` times its own."""
        for name, kernel in self._kernels.items():
            kernel.set_learning_rate(factor * self._tables[name].learning_rate)

    def set_step(self, step: int) -> None:
        """Sets the number of updates so far, after loading a checkpoint."""
        for kernel in self._kernels.values():
            kernel.set_step(step)

    def local_blocks(self, entity_type: str) -> list[RowBlock]:
        """Returns this rank's part of a table, as views; it may be empty."""
        kernel = self._kernels.get(entity_type)
        return [kernel.block()] if kernel is not None else []

    def record_touched_rows(self) -> None:
        """Remembers from now on which rows a step touches, for `project`."""
        for kernel in self._kernels.values():
            kernel.record_touched_rows()

    def project(self, projection: Projection) -> None:
        """Applies the constraint to the rows that the last step touched."""
        for kernel in self._kernels.values():
            kernel.project(projection)

    def describe(self) -> Sequence[str]:
        """Returns lines that state the size and form of each table."""
        return table_plan.describe_plan(
            self._schema, self._tables, self.embedding_dim
        )

    def _make_collection(self, eps: float) -> EmbeddingCollection:
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
                )
                for entity_type in self._schema.entity_types
            ],
        )
        for name, module in collection.embeddings.items():
            optimizer, settings = self._fused_optimizer(name, eps)
            apply_optimizer_in_backward(optimizer, module.parameters(), settings)
        return collection

    def _fused_optimizer(
        self, name: str, eps: float
    ) -> tuple[type[torch.optim.Optimizer], dict[str, float]]:
        """Returns the class and the arguments of a table's update rule."""
        table = self._tables[name]
        rate = {"lr": table.learning_rate}
        match table.optimizer:
            case OptimizerKind.SGD:
                return torch.optim.SGD, rate
            case OptimizerKind.ADAGRAD:
                return torch.optim.Adagrad, rate | {"eps": eps}
            case OptimizerKind.ROWWISE_ADAGRAD:
                return RowWiseAdagrad, rate | {"eps": eps}
            case OptimizerKind.ADAM:
                if self._device.type != "cuda":
                    raise ConfigError(
                        f"graph.entity_types[{name!r}].table.optimizer: 'adam' needs"
                        f" a CUDA device, this one is {self._device.type!r};"
                        " use 'rowwise_adagrad', 'adagrad' or 'sgd'"
                    )
                return torch.optim.Adam, rate | {"eps": eps}

    def _shard(self, collection: EmbeddingCollection) -> DistributedModelParallel:
        """Returns the collection divided over the ranks."""
        sharder = EmbeddingCollectionSharder(
            fused_params={
                USE_ONE_TBE_PER_TABLE: True,
                # fbgemm's default maps a row out of range to row 0.
                "bounds_check_mode": BoundsCheckMode.FATAL,
                # Rounding to nearest keeps float16 tables reproducible.
                "stochastic_rounding": False,
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
