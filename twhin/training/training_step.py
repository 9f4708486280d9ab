# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""One step: look rows up, compute the loss, update tables and relations."""

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from twhin.config.settings import Precision, Projection, TrainConfig
from twhin.cpu import threads
from twhin.errors import TrainingError
from twhin.graph import random_bits
from twhin.model import step_gradients
from twhin.model.edge_loss import EdgeLoss, edge_loss
from twhin.model.fused_edge_loss import fused_edge_loss, is_fused
from twhin.model.relation_model import RelationModel
from twhin.model.step_rows import StepRows
from twhin.training.entity_tables import EntityTables
from twhin.training.job import Job
from twhin.training.relation_optimizer import RelationOptimizer
from twhin.training.step_batch import StepBatch
from twhin.warm_start.prior import Prior

# Distinguishes dropout from other draws of the same seed.
_DROPOUT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTotals:
    """Sums of a step over all ranks.

    Attributes:
      lhs_loss: The loss of ranking the lhs.
      rhs_loss: The loss of ranking the rhs.
      num_edges: The edges.
      is_stopped: Whether a rank was asked to stop.
    """

    lhs_loss: float
    rhs_loss: float
    num_edges: int
    is_stopped: bool


class TrainingStep:
    """Applies steps to the tables and the relation model of a job."""

    def __init__(
        self,
        *,
        settings: TrainConfig,
        tables: EntityTables,
        model: RelationModel,
        relation_optimizer: RelationOptimizer,
        job: Job,
        prior: Prior | None = None,
    ) -> None:
        """Chooses the fused loss where it serves the settings.

        Args:
          settings: The objective, dropout, projection and precision.
          tables: The embeddings.
          model: The relations, on the job's device.
          relation_optimizer: Updates `model`.
          job: The ranks.
          prior: What holds rows near earlier vectors; None for nothing.
        """
        self._settings = settings
        self._tables = tables
        self._model = model
        self._relation_optimizer = relation_optimizer
        self._job = job
        self._is_fused = is_fused(settings.model.comparator)
        # Where nothing but pieces of `threads` is large.
        self._is_in_pieces = (
            self._is_fused and job.device.type == "cpu" and not tables.has_dense_kernels
        )
        self._is_in_tables = (
            tables.are_in_memory
            and step_gradients.takes_tables(model, settings.loss, job.device)
            and not settings.model.dropout
            # All of a table is better looked up once for all chunks.
            and not settings.negatives.all_entities
        )
        self._prior = prior
        self._is_projected = settings.model.projection is not Projection.NONE
        self._needs_touched = self._is_projected or prior is not None
        if self._needs_touched:
            tables.record_touched_rows()
        if settings.training.precision is Precision.TF32:
            torch.backends.cuda.matmul.allow_tf32 = True

    def run(
        self, batch: StepBatch, *, step: int, factor: float, should_stop: bool
    ) -> StepTotals:
        """Takes a step; a collective.

        Args:
          batch: This rank's edges, on the job's device.
          step: The number of the step.
          factor: On all learning rates.
          should_stop: Whether this rank was asked to stop after the step.

        Raises:
          TrainingError: The loss is not finite; nothing has been updated.
        """
        if self._needs_touched:
            # Those that an evaluation has looked up.
            self._tables.take_touched_rows()
        # fbgemm takes the rate of an update at its lookup.
        self._tables.set_learning_rate_factor(factor)
        with threads.taken_over() if self._is_in_pieces else contextlib.nullcontext():
            take = self._take_in_tables if self._is_in_tables else self._take
            totals = take(batch, step, should_stop)
            self._tables.step()
            self._relation_optimizer.step(factor)
            self._move_touched(factor)
        return totals

    def _take(self, batch: StepBatch, step: int, should_stop: bool) -> StepTotals:
        """Looks rows up; torch's backward pass updates them."""
        rows = self._tables.lookup(batch.rows)
        loss = self._loss(self._drop_out(rows, step), batch)
        totals = self._sum(loss, batch, should_stop, step)
        torch.autograd.backward(loss.total)
        return totals

    def _take_in_tables(
        self, batch: StepBatch, step: int, should_stop: bool
    ) -> StepTotals:
        """Does what `_take` does, with rows where they are."""
        tables = self._tables.refer(batch.rows)
        rows = StepRows(
            rows=tables,
            chosen=batch.rows,
            gradients={
                name: table.new_empty(len(batch.rows[name]), table.shape[1])
                for name, table in tables.items()
            },
            groups=batch.groups,
        )
        found = step_gradients.compute(
            rows,
            self._model,
            self._settings.loss,
            self._settings.training.precision,
            batch.chunks,
        )
        totals = self._sum(found.loss, batch, should_stop, step)
        self._tables.update(batch.rows, rows.gradients)
        for parameter, gradient in zip(
            self._model.parameters(), found.parameters, strict=True
        ):
            parameter.grad = gradient
        return totals

    def _move_touched(self, factor: float) -> None:
        """Applies what acts on rows after their update."""
        if not self._needs_touched:
            return
        touched = self._tables.take_touched_rows()
        if self._is_projected:
            self._tables.project(self._settings.model.projection, touched)
        if self._prior is not None:
            self._prior.apply(touched, factor)

    def _loss(self, rows: Mapping[str, Tensor], batch: StepBatch) -> EdgeLoss:
        precision = self._settings.training.precision
        settings = self._settings.loss
        if self._is_fused:
            return fused_edge_loss(
                rows, batch.groups, self._model, settings, precision, batch.chunks
            )
        rounded: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        if precision is Precision.BFLOAT16:
            rounded = torch.autocast(self._job.device.type, torch.bfloat16)
        with rounded:
            return edge_loss(rows, batch.groups, self._model, settings)

    def _drop_out(self, rows: Mapping[str, Tensor], step: int) -> Mapping[str, Tensor]:
        """Zeroes elements with the probability p and scales others by 1 / (1 - p)."""
        probability = self._settings.model.dropout
        if not probability:
            return rows
        key = random_bits.stream_key(
            self._settings.training.seed, _DROPOUT, step, self._job.rank
        )
        generator = torch.Generator(self._job.device).manual_seed(key >> 1)
        dropped = {}
        for name, table in rows.items():
            draws = torch.rand(
                table.shape, generator=generator, device=self._job.device
            )
            dropped[name] = table * (draws >= probability) / (1.0 - probability)
        return dropped

    def _sum(
        self, loss: EdgeLoss, batch: StepBatch, should_stop: bool, step: int
    ) -> StepTotals:
        """Adds up the ranks' losses; all of them see what one of them sees."""
        parts = torch.stack([loss.total.detach(), loss.lhs, loss.rhs]).double().cpu()
        counts = torch.tensor([batch.num_edges, should_stop], dtype=torch.float64)
        sums = self._job.sum_over_ranks(torch.cat([parts, counts])).tolist()
        if not math.isfinite(sums[0]):
            raise TrainingError(
                f"step {step}: the loss is {sums[0]}; allowed: finite losses; the tables"
                " are as the step before left them; try a smaller learning rate, or"
                " training.max_gradient_norm"
            )
        return StepTotals(
            lhs_loss=sums[1],
            rhs_loss=sums[2],
            num_edges=int(sums[3]),
            is_stopped=sums[4] > 0,
        )
