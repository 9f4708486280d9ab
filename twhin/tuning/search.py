# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The search: which values are tried next, and what is known so far.

Everything known is in the file `search.journal` of the search's folder, written
before and after each trial: a search that was killed goes on where it was.
"""

import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from twhin.errors import ConfigError, TwhinError
from twhin.tuning.search_space import Choices, Range, SearchSpace, override
from twhin.tuning.trial import Trial, TrialState
from twhin.tuning.trial_process import TrialError

JOURNAL_FILE = "search.journal"
LOCK_FILE = "search.lock"
_MAX_FAILED_IN_A_ROW = 3
_MAX_INVALID_IN_A_ROW = 100
_STATES = {
    optuna.trial.TrialState.COMPLETE: TrialState.COMPLETE,
    optuna.trial.TrialState.RUNNING: TrialState.RUNNING,
    optuna.trial.TrialState.FAIL: TrialState.FAILED,
    optuna.trial.TrialState.PRUNED: TrialState.INVALID,
}
_LOG = logging.getLogger(__name__)

Evaluate = Callable[[int, Sequence[str]], float]
"""Gives the metric for (the number of the trial, overrides); raises ConfigError for
values that the configuration refuses, and TrialError where there is no metric."""


class Search:
    """A search in a folder; a context manager that keeps other searches out of it.

    The next values are drawn by the tree-structured Parzen estimator, after ten at
    random. The draw depends on the seed and on the trials so far alone, so that
    an interrupted search goes on as if it had not been interrupted.

    Reference: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS
    2011.

    Attributes:
      lock: The file descriptor that keeps the folder; a process that inherits it
        keeps the folder until it ends.
    """

    def __init__(
        self, folder: Path, *, space: SearchSpace, subject: str, seed: int
    ) -> None:
        """Opens the search of a folder, or begins one.

        Args:
          folder: Exists, or is made.
          space: What is varied.
          subject: What the trials have in common: the configuration and the metric.
          seed: Of the draws.

        Raises:
          ConfigError: Another process searches there, or the folder holds a search
            over another space or subject.
        """
        self._seed = seed
        self._space = {name: _distribution(one) for name, one in space.items()}
        folder.mkdir(parents=True, exist_ok=True)
        self.lock = _lock(folder / LOCK_FILE)
        try:
            self._study = _open_study(folder / JOURNAL_FILE)
            varied = repr(sorted(space.items()))
            self._check_same(folder, {"space": varied, "subject": subject})
        except BaseException:
            os.close(self.lock)
            raise

    def __enter__(self) -> Self:
        """Returns the search."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Lets other searches in."""
        os.close(self.lock)

    @property
    def trials(self) -> list[Trial]:
        """All trials so far, in their order."""
        return [
            self._report(trial)
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state in _STATES
        ]

    def begin_with(self, values: Mapping[str, object]) -> None:
        """Makes these values the first trial, where nothing has been tried yet.

        Args:
          values: Of some of the space's fields; others are drawn. Choices as JSON.
        """
        if not self._study.get_trials(deepcopy=False):
            self._study.enqueue_trial(dict(values))

    def run(
        self,
        evaluate: Evaluate,
        *,
        num_trials: int,
        on_trial: Callable[[Trial], None] = lambda trial: None,
    ) -> None:
        """Tries until so many trials have ended, those of earlier calls included.

        Values that the configuration refuses are not counted.

        Args:
          evaluate: Tries some values.
          num_trials: Complete and failed trials, over all calls.
          on_trial: Told about each trial that has ended.

        Raises:
          TwhinError: Several trials in a row gave nothing.
        """
        in_a_row: list[TrialState] = []
        while self._num_ended() < num_trials:
            trial = self._next()
            report = self._try(trial, evaluate)
            on_trial(report)
            if not in_a_row or in_a_row[-1] is not report.state:
                in_a_row.clear()
            in_a_row.append(report.state)
            _check_progress(report, len(in_a_row))

    def _num_ended(self) -> int:
        ended = (TrialState.COMPLETE, TrialState.FAILED)
        return sum(trial.state in ended for trial in self.trials)

    def _next(self) -> FrozenTrial:
        """Returns the trial that was interrupted, or a new one."""
        trials = self._study.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state is optuna.trial.TrialState.RUNNING:
                if trial.params.keys() == self._space.keys():
                    _LOG.info("event=trial_continued trial=%d", trial.number)
                    return trial
                self._study.tell(trial.number, state=optuna.trial.TrialState.PRUNED)
        self._study.sampler = optuna.samplers.TPESampler(seed=self._seed + len(trials))
        number = self._study.ask(self._space).number
        return self._study.get_trials(deepcopy=False)[number]

    def _try(self, trial: FrozenTrial, evaluate: Evaluate) -> Trial:
        values = _as_json(trial.params)
        overrides = [override(name, value) for name, value in values.items()]
        _LOG.info("event=trial_started trial=%d %s", trial.number, " ".join(overrides))
        start, metric, reason = time.monotonic(), None, ""
        state = optuna.trial.TrialState.COMPLETE
        try:
            metric = evaluate(trial.number, overrides)
        except ConfigError as err:
            state, reason = optuna.trial.TrialState.PRUNED, str(err)
        except TrialError as err:
            state, reason = optuna.trial.TrialState.FAIL, str(err)
        # A study's attributes, as trials that are continued cannot get any.
        notes = {"secs": time.monotonic() - start, "reason": reason}
        self._study.set_user_attr(_notes_key(trial.number), notes)
        told = self._study.tell(trial.number, metric, state=state)
        return self._report(told)

    def _report(self, trial: FrozenTrial) -> Trial:
        notes = self._study.user_attrs.get(_notes_key(trial.number), {})
        return Trial(
            number=trial.number,
            state=_STATES[trial.state],
            values=_as_json(trial.params),
            metric=trial.value,
            secs=float(notes.get("secs", 0.0)),
            reason=str(notes.get("reason", "")),
        )

    def _check_same(self, folder: Path, subject: Mapping[str, str]) -> None:
        for name, value in subject.items():
            if self._study.user_attrs.get(name, value) != value:
                raise ConfigError(
                    f"{folder}: a search with another {name}; allowed: the same"
                    " configuration, metric and space, or another --output_dir"
                )
            self._study.set_user_attr(name, value)


def _notes_key(number: int) -> str:
    return f"trial {number}"


def _check_progress(trial: Trial, num_in_a_row: int) -> None:
    limits = {
        TrialState.FAILED: _MAX_FAILED_IN_A_ROW,
        TrialState.INVALID: _MAX_INVALID_IN_A_ROW,
    }
    if num_in_a_row >= limits.get(trial.state, num_in_a_row + 1):
        raise TwhinError(
            f"trial {trial.number}: {num_in_a_row} trials in a row {trial.state};"
            f" the last: {trial.reason}"
        )


def _distribution(dimension: Range | Choices) -> BaseDistribution:
    if not isinstance(dimension, Range):
        return CategoricalDistribution(dimension.values)
    if dimension.is_whole:
        return IntDistribution(
            int(dimension.low), int(dimension.high), log=dimension.is_log
        )
    return FloatDistribution(dimension.low, dimension.high, log=dimension.is_log)


def _as_json(values: Mapping[str, object]) -> dict[str, str]:
    """Returns drawn values as JSON; choices, which are texts, are JSON already."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


def _open_study(journal: Path) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _drop_half_line(journal)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))),
        study_name="search",
        direction="maximize",
        load_if_exists=True,
    )


def _lock(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        os.close(file)
        raise ConfigError(
            f"{path}: held by another search, or by a training that it left; allowed:"
            " one search in a folder"
        ) from err
    return file


def _drop_half_line(journal: Path) -> None:
    """Cuts off what a killed process left of a line; optuna would trip over it."""
    if journal.exists():
        content = journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(journal, whole)
