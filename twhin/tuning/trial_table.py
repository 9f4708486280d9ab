# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The trials of a search as a CSV file."""

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path

from twhin.tuning.trial import Trial

TRIALS_FILE = "trials.csv"
_COLUMNS = ("trial", "state", "metric", "secs")


def write_trials(path: Path, trials: Sequence[Trial], fields: Sequence[str]) -> None:
    """Writes a line for each trial, aside first and then renamed into place.

    The columns: trial, state, metric, secs, one for each field, reason.

    Args:
      path: The file.
      trials: In any order; they are written in it.
      fields: The paths of the search space.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_COLUMNS, *fields, "reason"])
        for trial in trials:
            metric = "" if trial.metric is None else repr(trial.metric)
            cells = [trial.number, trial.state, metric, f"{trial.secs:.1f}"]
            values = [plain_value(trial.values.get(field, '""')) for field in fields]
            writer.writerow([*cells, *values, trial.reason.replace("\n", " | ")])
    aside.replace(path)


def plain_value(value: str) -> str:
    """Returns a value in JSON without the quotes of a text; numbers to 5 digits."""
    parsed = json.loads(value)
    if isinstance(parsed, str):
        return parsed
    return f"{parsed:.5g}" if isinstance(parsed, float) else value
