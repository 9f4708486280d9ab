# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The update of the relation parameters, equal on all ranks."""

from typing import Any

import torch
from torch import Tensor

from twhin.config.settings import Optimizer, OptimizerKind
from twhin.model.relation_model import RelationModel
from twhin.training.job import Job


class RelationOptimizer:
    """Sums gradients over ranks, bounds them, and takes a step.

    Every rank holds all relation parameters and updates them alike.
    """

    def __init__(
        self,
        model: RelationModel,
        settings: Optimizer,
        *,
        max_gradient_norm: float,
        job: Job,
    ) -> None:
        """Creates the state.

        Args:
          model: Its parameters are updated.
          settings: The rule: SGD, Adagrad or Adam.
          max_gradient_norm: The largest L2 norm of one relation's gradient; 0 for
            no bound.
          job: The ranks.
        """
        self._parameters = [p for p in model.parameters() if p.numel()]
        self._learning_rate = settings.learning_rate
        self._max_gradient_norm = max_gradient_norm
        self._job = job
        self._optimizer = _make_optimizer(self._parameters, settings)

    def step(self, factor: float) -> None:
        """Updates the parameters from their gradients; a collective.

        Args:
          factor: On the learning rate.
        """
        for parameter in self._parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            self._job.sum_over_ranks(parameter.grad)
            if self._max_gradient_norm:
                _bound_rows(parameter.grad, self._max_gradient_norm)
        if self._optimizer is None:
            return
        for group in self._optimizer.param_groups:
            group["lr"] = factor * self._learning_rate
        self._optimizer.step()
        self._optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Returns torch's state of the optimizer; empty without parameters."""
        return {} if self._optimizer is None else self._optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from what `state_dict` returned."""
        if self._optimizer is not None:
            self._optimizer.load_state_dict(state)


def _make_optimizer(
    parameters: list[torch.nn.Parameter], settings: Optimizer
) -> torch.optim.Optimizer | None:
    if not parameters:
        return None
    rate = settings.learning_rate
    match settings.kind:
        case OptimizerKind.SGD:
            return torch.optim.SGD(parameters, lr=rate)
        case OptimizerKind.ADAGRAD:
            is_fused = parameters[0].device.type == "cpu"
            return torch.optim.Adagrad(
                parameters, lr=rate, eps=settings.eps, fused=is_fused
            )
        case OptimizerKind.ADAM:
            betas = (settings.beta1, settings.beta2)
            return torch.optim.Adam(parameters, lr=rate, eps=settings.eps, betas=betas)
        case _:
            raise ValueError(f"relation_optimizer.kind: {settings.kind!r}")


def _bound_rows(gradient: Tensor, max_norm: float) -> None:
    """Scales rows of [R, P] down to the largest norm, in place."""
    norms = gradient.norm(dim=1, keepdim=True)
    gradient.mul_(max_norm / norms.clamp_min(max_norm))
