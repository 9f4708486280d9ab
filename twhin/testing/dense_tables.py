# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Embedding tables as plain tensors, their update rules written out.

The reference for sharded tables: no torchrec, no fbgemm, no optimizer of torch.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from twhin.config.settings import Dtype, Optimizer, OptimizerKind, Table


class DenseTables:
    """Whole tables in one process.

    Attributes:
      rows: For every entity type [n, D], float32 or float16.
      state: For every entity type the optimizer's state by name.
    """

    def __init__(
        self,
        rows: Mapping[str, Tensor],
        tables: Mapping[str, Table],
        optimizer: Optimizer,
    ) -> None:
        """Starts from copies of `rows`, with zero state.

        Args:
          rows: For every entity type [n, D] float32.
          tables: The settings of each table.
          optimizer: Has `eps`, `beta1` and `beta2`.
        """
        dtypes = {Dtype.FLOAT32: torch.float32, Dtype.FLOAT16: torch.float16}
        self.rows = {
            name: table.to(dtypes[tables[name].dtype], copy=True)
            for name, table in rows.items()
        }
        self.state = {
            name: _zero_state(tables[name].optimizer, table)
            for name, table in rows.items()
        }
        self._tables = dict(tables)
        self._optimizer = optimizer
        self._lookups: list[tuple[str, Tensor, Tensor]] = []
        self._num_steps = 0
        self._factor = 1.0

    def lookup(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns copies of rows, whose gradients `step` applies.

        It may be called several times before a step, as if for several ranks.
        """
        found = {}
        for name, index in rows.items():
            found[name] = self.rows[name][index].float().requires_grad_()
            self._lookups.append((name, index, found[name]))
        return found

    def set_learning_rate_factor(self, factor: float) -> None:
        """Sets each table's step size to `factor` times its own."""
        self._factor = factor

    def step(self) -> None:
        """Sums the gradients of equal rows, and updates every table."""
        self._num_steps += 1
        gradients = {
            name: torch.zeros(table.shape) for name, table in self.rows.items()
        }
        for name, index, found in self._lookups:
            if found.grad is not None:
                gradients[name].index_add_(0, index, found.grad)
        self._lookups.clear()
        for name, gradient in gradients.items():
            self._update(name, gradient)

    def _update(self, name: str, gradient: Tensor) -> None:
        table, state = self._tables[name], self.state[name]
        eps = self._optimizer.eps
        match table.optimizer:
            case OptimizerKind.SGD:
                direction = gradient
            case OptimizerKind.ADAGRAD:
                state["sum"] += gradient.square()
                direction = gradient / (state["sum"].sqrt() + eps)
            case OptimizerKind.ROWWISE_ADAGRAD:
                state["sum"] += gradient.square().mean(dim=1)
                direction = gradient / (state["sum"].sqrt() + eps).unsqueeze(1)
            case OptimizerKind.ADAM:
                direction = self._adam(state, gradient)
            case _:
                raise ValueError(f"{table.optimizer!r} has no reference")
        rate = self._factor * table.learning_rate
        updated = self.rows[name].float() - rate * direction
        self.rows[name].copy_(updated.to(self.rows[name].dtype))

    def _adam(self, state: dict[str, Tensor], gradient: Tensor) -> Tensor:
        """Returns the direction of Adam; arXiv 1412.6980, algorithm 1."""
        beta1, beta2 = self._optimizer.beta1, self._optimizer.beta2
        state["exp_avg"].mul_(beta1).add_(gradient, alpha=1 - beta1)
        state["exp_avg_sq"].mul_(beta2).add_(gradient.square(), alpha=1 - beta2)
        mean = state["exp_avg"] / (1 - beta1**self._num_steps)
        square = state["exp_avg_sq"] / (1 - beta2**self._num_steps)
        return mean / (square.sqrt() + self._optimizer.eps)


def _zero_state(kind: OptimizerKind, table: Tensor) -> dict[str, Tensor]:
    """Returns the state of an update rule before the first step."""
    match kind:
        case OptimizerKind.ADAGRAD:
            return {"sum": torch.zeros(table.shape)}
        case OptimizerKind.ROWWISE_ADAGRAD:
            return {"sum": torch.zeros(table.shape[0])}
        case OptimizerKind.ADAM:
            names = ("exp_avg", "exp_avg_sq")
            return {name: torch.zeros(table.shape) for name in names}
        case _:
            return {}
