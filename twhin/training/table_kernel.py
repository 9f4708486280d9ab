# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""One fbgemm kernel of a sharded torchrec module: this rank's part of a table."""

from fbgemm_gpu.split_table_batched_embeddings_ops_common import PoolingMode
import torch
from torch import Tensor
from torchrec.distributed.batched_embedding_kernel import BatchedFusedEmbedding
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from twhin.config.settings import OptimizerKind, Projection
from twhin.training.row_block import RowBlock

_STATE_NAMES = {
    OptimizerKind.SGD: (),
    OptimizerKind.ADAGRAD: ("sum",),
    OptimizerKind.ROWWISE_ADAGRAD: ("sum",),
    OptimizerKind.ADAM: ("exp_avg", "exp_avg_sq"),
}


class TableKernel:
    """The rows of one table that this rank holds, and their update.

    fbgemm's kernel for sequences (`PoolingMode.NONE`) is slow on CPU. There the
    kernel is switched to sums over bags, and each row becomes a bag of its own:
    the same rows, gradients and state, in a quarter of the time.
    """

    def __init__(
        self, embedding: BatchedFusedEmbedding, optimizer: OptimizerKind
    ) -> None:
        """Wraps the kernel of a sharded `EmbeddingCollection`.

        Args:
          embedding: The kernel; it holds exactly one table.
          optimizer: The update rule that was fused into it.
        """
        (table,) = embedding.config.embedding_tables
        self.name: str = table.name
        self._kernel = embedding.emb_module
        self._optimizer = optimizer
        metadata = table.local_metadata
        self._row_start, self._column_start = metadata.shard_offsets
        self._touched: list[Tensor] = []
        self._records_touched = False
        if self._kernel.current_device.type == "cpu":
            self._kernel.pooling_mode = PoolingMode.SUM
        embedding.register_forward_pre_hook(self._prepare_features)

    def lookup(self, rows: Tensor) -> Tensor:
        """Returns the embeddings of local rows, with the update in backward.

        Args:
          rows: [n] int64, counted from the first row of this rank's part.

        Returns:
          [n, d] float32.
        """
        self._record(rows)
        offsets = torch.arange(rows.shape[0] + 1, device=rows.device)
        output: Tensor = self._kernel(indices=rows, offsets=offsets)
        return output

    def block(self) -> RowBlock:
        """Returns views of the rows and of the optimizer's state."""
        (weight,) = self._kernel.split_embedding_weights()
        (states,) = self._kernel.split_optimizer_states() or [()]
        names = _STATE_NAMES[self._optimizer]
        return RowBlock(
            start=self._row_start,
            rows=weight.detach(),
            state={name: state for name, state in zip(names, states, strict=False)},
            column_start=self._column_start,
        )

    def set_learning_rate(self, learning_rate: float) -> None:
        """Sets the step size of the following updates."""
        self._kernel.set_learning_rate(learning_rate)

    def set_step(self, step: int) -> None:
        """Sets the number of updates so far, which Adam's correction needs."""
        self._kernel.set_optimizer_step(step)

    def record_touched_rows(self) -> None:
        """Remembers from now on which rows are looked up, for `project`."""
        self._records_touched = True

    def project(self, projection: Projection) -> None:
        """Puts the rows that were looked up since the last call back in place.

        Raises:
          ValueError: `projection` is not a constraint.
        """
        touched = torch.unique(torch.cat(self._touched or [torch.empty(0).long()]))
        self._touched.clear()
        rows = self.block().rows
        vectors = rows[touched].float()
        norms = vectors.norm(dim=1, keepdim=True).clamp_min(1e-12)
        if projection is Projection.MAX_NORM:
            norms = norms.clamp_min(1.0)
        elif projection is not Projection.UNIT_NORM:
            raise ValueError(f"projection: {projection!r} is not a constraint")
        rows[touched] = (vectors / norms).to(rows.dtype)

    def _prepare_features(
        self, module: BatchedFusedEmbedding, args: tuple[KeyedJaggedTensor]
    ) -> tuple[KeyedJaggedTensor]:
        """Cuts the rows that arrive from all ranks into bags of one."""
        (features,) = args
        rows = features.values()
        self._record(rows)
        if self._kernel.pooling_mode is not PoolingMode.SUM:
            return (features,)
        num_rows = rows.shape[0]
        return (
            KeyedJaggedTensor(
                keys=features.keys(),
                values=rows,
                lengths=torch.ones(num_rows, dtype=torch.int64),
                offsets=torch.arange(num_rows + 1),
                stride=num_rows,
            ),
        )

    def _record(self, rows: Tensor) -> None:
        """Remembers `rows` where a projection will ask for them."""
        if self._records_touched:
            self._touched.append(rows)
