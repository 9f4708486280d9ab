# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A table in memory whose rows all threads look up and update."""

from typing import Any

import torch
from torch import Tensor
from torchrec.distributed.batched_embedding_kernel import BatchedFusedEmbedding

from twhin.config.settings import Dtype, OptimizerKind, Table
from twhin.cpu import threads
from twhin.training.rowwise_adagrad import update_rows
from twhin.training.table_kernel import FusedTableKernel


def is_parallel(table: Table, device: torch.device) -> bool:
    """Returns whether `ParallelTableKernel` serves a table."""
    return (
        device.type == "cpu"
        and table.optimizer is OptimizerKind.ROWWISE_ADAGRAD
        and table.dtype is Dtype.FLOAT32
    )


class ParallelTableKernel(FusedTableKernel):
    """The same rows, gradients and state as `FusedTableKernel`, in a third of the time.

    fbgemm's kernels for the CPU run in one thread. Lookups are torch's here, and the
    update is a loop of ours; both run in all threads.
    """

    def __init__(self, embedding: BatchedFusedEmbedding, table: Table) -> None:
        """See `FusedTableKernel`; `is_parallel` is true for `table`."""
        super().__init__(embedding, table)
        self._anchor = torch.zeros((), requires_grad=True)
        self._table = self._rows()
        (self._squares,) = self._state().values()

    def refer(self, rows: Tensor) -> Tensor:
        """Returns the whole table, [n, D], for who reads rows where they are.

        Args:
          rows: [n] int64, those that will be read, and may be updated.
        """
        self._record(rows)
        return self._table

    def _look_up(self, rows: Tensor) -> Tensor:
        found: Tensor = _Lookup.apply(self._anchor, self, rows)  # type: ignore[no-untyped-call]
        return found

    def select(self, rows: Tensor) -> Tensor:
        """Returns copies of rows, [n, D] float32.

        Args:
          rows: [n] int64.
        """
        found = torch.empty(len(rows), self._table.shape[1])

        def select_some(start: int, stop: int) -> None:
            torch.index_select(self._table, 0, rows[start:stop], out=found[start:stop])

        threads.share(select_some, len(rows), width=self._table.shape[1])
        return found

    def update(self, rows: Tensor, gradient: Tensor) -> None:
        """Updates rows by their gradients.

        Args:
          rows: [n] int64, duplicates allowed.
          gradient: [n, D] float32.
        """
        update_rows(
            self._table.numpy(),
            self._squares.numpy(),
            rows.numpy(),
            gradient.numpy(),
            learning_rate=float(self._kernel.learning_rate_tensor),
            eps=self._kernel.optimizer_args.eps,
        )


class _Lookup(torch.autograd.Function):
    """Looks rows up; its backward updates them."""

    @staticmethod
    def forward(
        ctx: Any, anchor: Tensor, kernel: ParallelTableKernel, rows: Tensor
    ) -> Tensor:
        """Returns [n, D]; `anchor` makes autograd run the backward."""
        ctx.kernel, ctx.rows = kernel, rows
        return kernel.select(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Gives the gradient to the rows, and none to `anchor`."""
        ctx.kernel.update(ctx.rows, gradient.contiguous())
        return None, None, None
