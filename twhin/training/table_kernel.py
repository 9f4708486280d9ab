# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""One kernel of a sharded torchrec module: a rank's part of a table."""

import abc
from collections.abc import Mapping

import torch
from fbgemm_gpu.split_table_batched_embeddings_ops_common import PoolingMode
from torch import Tensor
from torchrec.distributed.batched_embedding_kernel import BatchedFusedEmbedding
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from twhin.checkpoint.table_part import TablePart
from twhin.config.settings import Projection, Table
from twhin.training.table_rules import UPDATE_RULES

_MIN_NORM = 1e-12


class TableKernel(abc.ABC):
    """The rows of one table that this rank holds, and their update.

    Attributes:
      name: The name of the table.
    """

    def __init__(self, embedding: BatchedFusedEmbedding) -> None:
        """Wraps the kernel of a sharded `EmbeddingCollection`.

        Args:
          embedding: The kernel; it holds exactly one table.
        """
        (table,) = embedding.config.embedding_tables
        self.name: str = table.name
        self._row_start, self._column_start = table.local_metadata.shard_offsets
        self._touched: list[Tensor] = []
        self._records_touched = False
        embedding.register_forward_pre_hook(self._receive)

    def lookup(self, rows: Tensor) -> Tensor:
        """Returns the embeddings of local rows.

        Args:
          rows: [n] int64, counted from the first row of this rank's part.

        Returns:
          [n, d] float32.
        """
        self._record(rows)
        return self._look_up(rows)

    def part(self) -> TablePart:
        """Returns views of the rows and of the optimizer's state."""
        return TablePart(
            start=self._row_start,
            rows=self._rows(),
            state=self._state(),
            column_start=self._column_start,
        )

    @abc.abstractmethod
    def set_learning_rate(self, learning_rate: float) -> None:
        """Sets the step size of the following updates."""

    @abc.abstractmethod
    def set_step(self, step: int) -> None:
        """Sets the number of updates so far, which Adam's correction needs."""

    @abc.abstractmethod
    def step(self) -> None:
        """Updates the rows, where the backward pass of `lookup` did not."""

    @abc.abstractmethod
    def _look_up(self, rows: Tensor) -> Tensor:
        """Does what `lookup` says."""

    @abc.abstractmethod
    def _rows(self) -> Tensor:
        """Returns a view of the rows, [n, d]."""

    @abc.abstractmethod
    def _state(self) -> Mapping[str, Tensor]:
        """Returns views of the optimizer's state by name."""

    def _prepare(self, features: KeyedJaggedTensor) -> KeyedJaggedTensor:
        """Returns the rows that arrive from all ranks as the kernel wants them."""
        return features

    def record_touched_rows(self) -> None:
        """Remembers from now on which rows are looked up."""
        self._records_touched = True

    def take_touched_rows(self) -> Tensor:
        """Returns the rows that may have changed since the last call.

        Returns:
          [n] int64, each row once, counted from the first row of this rank's part.
        """
        rows = [torch.empty(0, dtype=torch.int64), *self._touched]
        self._touched.clear()
        touched: Tensor = torch.unique(
            torch.cat([each.to(rows[-1].device) for each in rows])
        )
        return touched

    def project(self, projection: Projection, touched: Tensor) -> None:
        """Puts rows back in place.

        Args:
          projection: The constraint.
          touched: [n] int64, as `take_touched_rows` gives them.

        Raises:
          ValueError: `projection` is not a constraint.
        """
        if projection is Projection.NONE:
            raise ValueError(f"projection: {projection!r} is not a constraint")
        rows = self._rows()
        vectors = rows[touched].float()
        norms = vectors.norm(dim=1, keepdim=True).clamp_min(_MIN_NORM)
        if projection is Projection.MAX_NORM:
            norms = norms.clamp_min(1.0)
        rows[touched] = (vectors / norms).to(rows.dtype)

    def _receive(
        self, module: torch.nn.Module, args: tuple[KeyedJaggedTensor]
    ) -> tuple[KeyedJaggedTensor]:
        """Sees the rows that arrive from all ranks, before they are looked up."""
        (features,) = args
        self._record(features.values())
        return (self._prepare(features),)

    def _record(self, rows: Tensor) -> None:
        """Remembers `rows` where someone will ask for them."""
        if self._records_touched:
            self._touched.append(rows)


class FusedTableKernel(TableKernel):
    """A table that the backward pass of a lookup updates, row by row.

    fbgemm's kernel for sequences (`PoolingMode.NONE`) is slow on CPU. There the
    kernel is switched to sums over bags, and each row becomes a bag of its own:
    the same rows, gradients and state, in a quarter of the time.
    """

    def __init__(self, embedding: BatchedFusedEmbedding, table: Table) -> None:
        """See `TableKernel`; `table` has the update rule that was fused into it."""
        super().__init__(embedding)
        self._kernel = embedding.emb_module
        self._state_names = tuple(UPDATE_RULES[table.optimizer].state)
        if self._kernel.current_device.type == "cpu":
            self._kernel.pooling_mode = PoolingMode.SUM

    def set_learning_rate(self, learning_rate: float) -> None:
        """See `TableKernel`."""
        self._kernel.set_learning_rate(learning_rate)

    def set_step(self, step: int) -> None:
        """See `TableKernel`."""
        self._kernel.set_optimizer_step(step)

    def step(self) -> None:
        """Does nothing: the rows are updated already."""

    def _look_up(self, rows: Tensor) -> Tensor:
        offsets = torch.arange(rows.shape[0] + 1, device=rows.device)
        found: Tensor = self._kernel(indices=rows, offsets=offsets)
        return found

    def _rows(self) -> Tensor:
        # Rows may lie in a cache on the device, newer than those in memory.
        self._kernel.flush()
        weights: list[Tensor] = self._kernel.split_embedding_weights()
        return weights[0].detach()

    def _state(self) -> Mapping[str, Tensor]:
        states: list[list[Tensor]] = self._kernel.split_optimizer_states()
        # Without state fbgemm returns no list for the table at all.
        return dict(zip(self._state_names, states[0] if states else [], strict=True))

    def _prepare(self, features: KeyedJaggedTensor) -> KeyedJaggedTensor:
        """Cuts the rows into bags of one, where the kernel sums over bags."""
        if self._kernel.pooling_mode is not PoolingMode.SUM:
            return features
        rows = features.values()
        num_rows = rows.shape[0]
        return KeyedJaggedTensor(
            keys=features.keys(),
            values=rows,
            lengths=torch.ones(num_rows, dtype=torch.int64),
            offsets=torch.arange(num_rows + 1),
            stride=num_rows,
        )
