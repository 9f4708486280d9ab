# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A part of a table that is updated as a whole, by an optimizer of torch."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchrec.distributed.batched_embedding_kernel import BatchedFusedEmbedding

from twhin.config.settings import Optimizer, OptimizerKind, Table
from twhin.training.table_kernel import TableKernel
from twhin.training.table_rules import UPDATE_RULES


class DenseTableKernel(TableKernel):
    """A table whose every row takes part in every update.

    torchrec cuts the table and exchanges rows as for a fused one, but the lookup is
    torch's own, whose gradient is as large as the table. (torch warns that fbgemm's
    dense kernel has no registered gradient on the CPU.)
    """

    def __init__(
        self, embedding: BatchedFusedEmbedding, table: Table, optimizer: Optimizer
    ) -> None:
        """Takes the rows over from a fused kernel without state.

        Args:
          embedding: See `TableKernel`; its kernel is replaced.
          table: Has the update rule and its step size.
          optimizer: Has the other numbers of the update rule.
        """
        super().__init__(embedding)
        (rows,) = embedding.emb_module.split_embedding_weights()
        self._plain = _PlainLookup(rows)
        embedding._emb_module = self._plain
        self._optimizer = _make_optimizer(self._plain.rows, table, optimizer)
        self._state_names = tuple(UPDATE_RULES[table.optimizer].state)

    def set_learning_rate(self, learning_rate: float) -> None:
        """See `TableKernel`."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate

    def set_step(self, step: int) -> None:
        """See `TableKernel`."""
        state = self._optimizer.state[self._plain.rows]
        if "step" in state:
            state["step"].fill_(step)

    def step(self) -> None:
        """See `TableKernel`."""
        if self._plain.rows.grad is None:
            # No rank asked for a row here; moments move the rows all the same.
            self._plain.rows.grad = torch.zeros_like(self._plain.rows)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def take_touched_rows(self) -> Tensor:
        """Returns all rows: momentum moves those that no step looked up, too."""
        rows = self._rows()
        return torch.arange(len(rows), device=rows.device)

    def _look_up(self, rows: Tensor) -> Tensor:
        found: Tensor = self._plain(rows)
        return found

    def _rows(self) -> Tensor:
        return self._plain.rows.detach()

    def _state(self) -> Mapping[str, Tensor]:
        state = self._optimizer.state[self._plain.rows]
        return {name: state[name] for name in self._state_names}


class _PlainLookup(nn.Module):
    """Looks rows up as fbgemm's kernels are asked to."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows.detach())

    def forward(self, indices: Tensor, offsets: Tensor | None = None) -> Tensor:
        """Returns [n, d] float32; the offsets of bags of one say nothing."""
        return functional.embedding(indices, self.rows)


def _make_optimizer(
    parameter: Tensor, table: Table, optimizer: Optimizer
) -> torch.optim.Optimizer:
    """Returns the update rule with state that exists from the start."""
    rate = table.learning_rate
    match table.optimizer:
        case OptimizerKind.SGD:
            return torch.optim.SGD([parameter], lr=rate)
        case OptimizerKind.ADAGRAD:
            return torch.optim.Adagrad([parameter], lr=rate, eps=optimizer.eps)
        case OptimizerKind.ADAM:
            adam = torch.optim.Adam(
                [parameter],
                lr=rate,
                betas=(optimizer.beta1, optimizer.beta2),
                eps=optimizer.eps,
            )
            # torch makes it at the first step, too late to load a checkpoint into.
            adam.state[parameter] = {
                "step": torch.tensor(0.0),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
            return adam
        case _:
            raise ValueError(f"{table.optimizer!r} has no dense kernel")
