# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The loop of training: epochs of steps, evaluations, checkpoints, the end."""

import logging
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import FrameType

from twhin.checkpoint.training_state import Progress, TrainingState
from twhin.checkpoint.writer import CheckpointWriter
from twhin.config.settings import ScheduleKind, TrainConfig
from twhin.evaluation.evaluator import Evaluator
from twhin.graph.cursor import Cursor
from twhin.graph.edge_reader import EdgeReader
from twhin.training.job import Job
from twhin.training.prefetch import Prefetcher
from twhin.training.run_log import RunLog
from twhin.training.schedule import learning_rate_factor
from twhin.training.step_batch import StepBatch
from twhin.training.step_batch_builder import StepBatchBuilder
from twhin.training.training_step import TrainingStep

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerParts:
    """What a trainer joins; each part says what it does.

    Attributes:
      reader: This rank's edges.
      builder: Adds negatives.
      step: Updates the model.
      make_state: Returns views of all that is trained.
      evaluator: Measures on validation edges.
      checkpoints: Saves that state.
      log: Shows progress; None on ranks that show nothing.
      job: The ranks.
    """

    reader: EdgeReader
    builder: StepBatchBuilder
    step: TrainingStep
    make_state: Callable[[], TrainingState]
    evaluator: Evaluator
    checkpoints: CheckpointWriter
    log: RunLog | None
    job: Job


class Trainer:
    """Trains until the last epoch, the last step, a plateau or a SIGTERM.

    After a SIGTERM to any rank all of them finish the step, save and stop.
    """

    def __init__(
        self, settings: TrainConfig, parts: TrainerParts, progress: Progress
    ) -> None:
        """Takes over the state after the steps that `progress` counts."""
        self._settings = settings
        self._parts = parts
        self._start = self._progress = progress
        self._num_steps = count_steps(settings, parts.reader)
        self._is_stop_asked = False
        self._is_stopped = False

    def run(self) -> Progress:
        """Trains; a collective.

        Returns:
          How far training has come; a run that was stopped by a signal can be
          told by `is_stopped`.

        Raises:
          TrainingError: The loss is not finite.
          DataError: An edge file is damaged.
          CheckpointError: A checkpoint cannot be written.
        """
        previous = signal.signal(signal.SIGTERM, self._ask_to_stop)
        try:
            while not self._is_stopped and not self._is_finished():
                self._train_epoch()
                if not self._is_stopped:
                    self._end_epoch()
            if self._progress != self._start:
                self._save(wait=True)
        finally:
            signal.signal(signal.SIGTERM, previous)
        return self._progress

    @property
    def is_stopped(self) -> bool:
        """Whether a signal ended training before its end."""
        return self._is_stopped

    def _is_finished(self) -> bool:
        patience = self._settings.evaluation.early_stopping_patience
        return (
            self._progress.epoch >= self._settings.training.num_epochs
            or self._progress.step >= self._num_steps
            or 0 < patience <= self._progress.num_bad_evaluations
        )

    def _train_epoch(self) -> None:
        """Takes the steps of the epoch that are left."""
        with Prefetcher(self._make_batches()) as batches:
            waited = 0.0
            for batch, cursor in batches:
                self._take_step(batch, cursor, batches.wait_secs - waited)
                waited = batches.wait_secs
                if self._is_stopped:
                    return
                self._save_if_due()

    def _make_batches(self) -> Iterator[tuple[StepBatch, Cursor]]:
        """Yields the batches that are left of the epoch; runs in a thread."""
        position, step = self._progress.cursor, self._progress.step
        start = None if position is None else Cursor.from_json(position)
        for edges, cursor in self._parts.reader.epoch(self._progress.epoch, start):
            yield self._parts.builder.build(edges, step), cursor
            step += 1
            if step >= self._num_steps:
                return

    def _take_step(self, batch: StepBatch, cursor: Cursor, wait_secs: float) -> None:
        progress = self._progress
        factor = progress.plateau_factor * learning_rate_factor(
            self._settings.schedule,
            step=progress.step,
            num_steps=self._num_steps,
            epoch=progress.epoch,
        )
        totals = self._parts.step.run(
            batch.to(self._parts.job.device),
            step=progress.step,
            factor=factor,
            should_stop=self._is_stop_asked,
        )
        self._progress = replace(
            progress, step=progress.step + 1, cursor=cursor.to_json()
        )
        self._is_stopped = totals.is_stopped
        if self._parts.log is not None:
            self._parts.log.add_step(
                totals,
                step=self._progress.step,
                epoch=progress.epoch,
                factor=factor,
                wait_secs=wait_secs,
            )

    def _save_if_due(self) -> None:
        interval = self._settings.checkpoint.interval_steps
        if interval and self._progress.step % interval == 0:
            self._save()

    def _save(self, *, is_best: bool = False, wait: bool = False) -> None:
        self._parts.checkpoints.save(
            self._parts.make_state(), self._progress, is_best=is_best, wait=wait
        )

    def _end_epoch(self) -> None:
        """Evaluates where it is due, and goes on to the next epoch."""
        evaluation = self._settings.evaluation
        self._progress = replace(
            self._progress, epoch=self._progress.epoch + 1, cursor=None
        )
        interval = evaluation.interval_epochs
        if not interval or self._progress.epoch % interval:
            return
        metrics = self._parts.evaluator.evaluate("valid", evaluation.num_edges)
        self._report(metrics)
        if evaluation.best_metric is not None:
            self._judge(metrics[f"valid/{evaluation.best_metric}"])

    def _judge(self, value: float) -> None:
        """Compares an evaluation with the best so far."""
        progress, schedule = self._progress, self._settings.schedule
        if progress.best_metric is None or value > progress.best_metric:
            self._progress = replace(
                progress, best_metric=value, num_bad_evaluations=0, plateau_length=0
            )
            self._save(is_best=True)
            return
        length, factor = progress.plateau_length + 1, progress.plateau_factor
        if (
            schedule.kind is ScheduleKind.PLATEAU
            and length >= schedule.plateau_patience
        ):
            length, factor = 0, factor * schedule.step_factor
        self._progress = replace(
            progress,
            num_bad_evaluations=progress.num_bad_evaluations + 1,
            plateau_length=length,
            plateau_factor=factor,
        )

    def _report(self, metrics: dict[str, float]) -> None:
        log = self._parts.log
        if log is None or not metrics:
            return
        log.add_metrics(metrics, step=self._progress.step)
        tables = self._parts.make_state().tables
        log.add_norms(
            {name: [part.rows for part in parts] for name, parts in tables.items()},
            step=self._progress.step,
        )
        chosen = self._settings.evaluation.best_metric
        names = [f"valid/{chosen}"] if chosen else _headline(metrics)
        text = " ".join(f"{name}={metrics[name]:.4f}" for name in names)
        log.say("evaluated epoch=%d %s", self._progress.epoch, text)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stop_asked = True


def count_steps(settings: TrainConfig, reader: EdgeReader) -> int:
    """Returns the steps of a whole run; fewer where training stops early."""
    training = settings.training
    num_steps = training.num_epochs * reader.num_steps(0)
    return min(num_steps, training.max_steps or num_steps)


def _headline(metrics: dict[str, float]) -> list[str]:
    """Returns the names of the metrics that a log line shows."""
    shown = ("link_prediction/filtered/mrr", "retrieval/recall@")
    return [
        name
        for name in metrics
        if name.removeprefix("valid/").startswith(shown)
        and "popularity" not in name
        and "=" not in name
    ]
