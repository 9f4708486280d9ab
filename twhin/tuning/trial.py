# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A trial of a search, as it is reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class TrialState(StrEnum):
    """What became of a trial."""

    COMPLETE = "complete"
    RUNNING = "running"
    FAILED = "failed"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One choice of values and what it gave.

    Attributes:
      number: From 0; its run is in OUTPUT_DIR/trials/NUMBER.
      state: What became of it; INVALID where the configuration refused the values.
      values: By path, each as JSON.
      metric: What it gave; None unless complete. Larger is better.
      secs: How long it took, in its last start.
      reason: Why it gave nothing; empty where it is complete.
    """

    number: int
    state: TrialState
    values: Mapping[str, str]
    metric: float | None
    secs: float
    reason: str


def best_first(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the complete trials by falling metric, the earlier first."""
    complete = [trial for trial in trials if trial.metric is not None]
    return sorted(complete, key=lambda trial: (-(trial.metric or 0.0), trial.number))
