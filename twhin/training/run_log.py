# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a user sees of a run: a progress bar, log lines, TensorBoard, history."""

import logging
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from twhin.evaluation.history import History
from twhin.training.training_step import StepTotals

TENSORBOARD_FOLDER = "tensorboard"
_MAX_NORMS = 100_000
_LOG = logging.getLogger(__name__)


class RunLog:
    """Shows the steps of a run; a context manager. One rank has it."""

    def __init__(
        self,
        folder: Path,
        *,
        first_step: int,
        num_steps: int,
        num_epochs: int,
        interval_steps: int,
    ) -> None:
        """Opens the files.

        Args:
          folder: The run's folder.
          first_step: The number of steps that have been taken.
          num_steps: The steps of the whole run.
          num_epochs: Its epochs.
          interval_steps: Steps between two log lines.
        """
        self._history = History(folder, step=first_step)
        self._writer = SummaryWriter(
            str(folder / TENSORBOARD_FOLDER), purge_step=first_step + 1
        )
        self._num_epochs = num_epochs
        self._interval_steps = interval_steps
        self._bar = tqdm(
            total=num_steps,
            initial=first_step,
            unit="step",
            disable=not sys.stderr.isatty(),
        )
        self._started = time.perf_counter()
        self._first_step = first_step
        self._begin_interval()

    def __enter__(self) -> Self:
        """Returns the log."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the files."""
        self._bar.close()
        self._writer.close()

    def add_step(
        self,
        totals: StepTotals,
        *,
        step: int,
        epoch: int,
        factor: float,
        wait_secs: float,
    ) -> None:
        """Adds a step, and reports the interval where it ends one.

        Args:
          totals: Sums over ranks.
          step: The number of steps taken so far, with this one.
          epoch: The epoch of the step.
          factor: On the learning rates.
          wait_secs: How long the step waited for its batch.
        """
        if step == self._first_step + 1:
            secs = time.perf_counter() - self._started
            _LOG.info("event=first_step secs=%.2f", secs)
            self._begin_interval()
        self._lhs_loss += totals.lhs_loss
        self._rhs_loss += totals.rhs_loss
        self._num_edges += totals.num_edges
        self._wait_secs += wait_secs
        self._bar.update()
        if step % self._interval_steps == 0:
            self._report(step, epoch, factor)

    def add_metrics(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Adds the result of an evaluation after so many steps."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._history.add(step, metrics)
        # The pause for the evaluation is not a step's.
        self._begin_interval()

    def add_norms(self, tables: Mapping[str, Iterable[Tensor]], *, step: int) -> None:
        """Adds histograms of the lengths of vectors after so many steps.

        Args:
          tables: By entity type blocks of rows, [n, D] each; of a long one an even
            sample is taken.
          step: The number of steps.
        """
        for entity_type, blocks in tables.items():
            norms = [
                rows[:: len(rows) // _MAX_NORMS + 1].float().norm(dim=1)
                for rows in blocks
            ]
            if norms:
                self._writer.add_histogram(
                    f"norms/{entity_type}", torch.cat(norms).cpu(), step
                )

    def say(self, line: str, *args: object) -> None:
        """Logs a line above the bar."""
        self._bar.clear()
        _LOG.info(line, *args)
        self._bar.refresh()

    def _report(self, step: int, epoch: int, factor: float) -> None:
        secs = time.perf_counter() - self._interval_started
        edges = max(1, self._num_edges)
        values = {
            "loss": (self._lhs_loss + self._rhs_loss) / edges,
            "lhs_loss": self._lhs_loss / edges,
            "rhs_loss": self._rhs_loss / edges,
            "edges_per_sec": self._num_edges / secs,
            "wait_share": self._wait_secs / secs,
            "learning_rate_factor": factor,
        }
        for name, value in values.items():
            self._writer.add_scalar(f"train/{name}", value, step)
        self._history.add(step, values)
        self._bar.set_postfix_str(
            f"loss {values['loss']:.4f}, {values['edges_per_sec']:,.0f} edges/s"
        )
        self.say(
            "step=%d epoch=%d/%d loss=%.4f edges_per_sec=%.0f wait_share=%.3f"
            " learning_rate_factor=%.3g",
            step,
            epoch + 1,
            self._num_epochs,
            values["loss"],
            values["edges_per_sec"],
            values["wait_share"],
            factor,
        )
        self._begin_interval()

    def _begin_interval(self) -> None:
        self._interval_started = time.perf_counter()
        self._lhs_loss = self._rhs_loss = self._wait_secs = 0.0
        self._num_edges = 0
