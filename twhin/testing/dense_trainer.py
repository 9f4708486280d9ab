# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Training with plain tensors in one process: the reference for all ranks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from twhin.config.settings import Loss
from twhin.model.edge_loss import edge_loss
from twhin.model.relation_model import RelationModel
from twhin.testing.dense_tables import DenseTables
from twhin.training.step_batch import StepBatch


class DenseTrainer:
    """Takes steps with the batches of all ranks at once.

    Relation parameters are updated by Adagrad.
    """

    def __init__(
        self,
        *,
        tables: DenseTables,
        model: RelationModel,
        loss: Loss,
        learning_rate: float,
        eps: float,
    ) -> None:
        """Keeps everything.

        Args:
          tables: The embeddings; changed in place.
          model: The relations; changed in place.
          loss: The objective.
          learning_rate: The step size of the relation parameters.
          eps: The term in the denominator of their update.
        """
        self._tables = tables
        self._model = model
        self._loss = loss
        self._learning_rate = learning_rate
        self._eps = eps
        self._sums = [torch.zeros_like(p) for p in model.parameters()]

    def step(self, batches: Sequence[StepBatch]) -> float:
        """Updates tables and relations, and returns the loss over all batches.

        Args:
          batches: One for each rank.
        """
        losses: list[Tensor] = []
        for batch in batches:
            rows = self._tables.lookup(batch.rows)
            found = edge_loss(rows, batch.groups, self._model, self._loss)
            losses.append(found.total)
        total = torch.stack(losses).sum()
        total.backward()  # type: ignore[no-untyped-call]
        self._tables.step()
        self._update_relations()
        return float(total.detach())

    def _update_relations(self) -> None:
        with torch.no_grad():
            for parameters, total in zip(
                self._model.parameters(), self._sums, strict=True
            ):
                if parameters.grad is None:
                    continue
                total.add_(parameters.grad.square())
                direction = parameters.grad / (total.sqrt() + self._eps)
                parameters.sub_(self._learning_rate * direction)
                parameters.grad = None
