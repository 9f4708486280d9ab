# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Kills one rank of two at random moments of training, again and again.

    python -m tools.bench.kill_rank --work=/tmp/kills --times=20

Each time a run of the small generated graph that tests use is started, and a rank is
killed (SIGKILL) at a random moment: each fifth time before the first checkpoint, and
else behind one of a random step. Nothing else is done. Prints one JSON object for each
time, and one for all: `ended` counts the jobs that ended with code 0 by themselves,
`equal` those with the very tables of the undisturbed run, and `worst` is the largest
relative difference of a metric from that run's.
"""

import json
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import app, flags

from tests.train_command import TrainCommand, rank_processes

_WORK = flags.DEFINE_string("work", None, "A folder for runs; it must not exist.")
_TIMES = flags.DEFINE_integer("times", 20, "Runs that lose a rank.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Draws the moments and the ranks.")
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Of every run.")
_TIMEOUT_SECS = 600
# Ranks import their modules for longer than that.
_EARLY_SECS = 3.0
# In this time a run takes some steps and saves once.
_LATE_SECS = 0.1
_NUM_RANKS = 2


def main(argv: Sequence[str]) -> None:
    """Runs and kills."""
    del argv
    work = Path(_WORK.value).absolute()
    work.mkdir(parents=True)
    draw = random.Random(_SEED.value)
    undisturbed = _command(work / "undisturbed")
    start = time.monotonic()
    undisturbed.run()
    secs = time.monotonic() - start
    print(json.dumps({"run": "undisturbed", "secs": round(secs, 1)}), flush=True)
    runs = [
        _kill(work / str(number), draw, number % 5 == 0, undisturbed)
        for number in range(_TIMES.value)
    ]
    print(
        json.dumps(
            {
                "run": "all",
                "times": len(runs),
                "ended": sum(run["code"] == 0 for run in runs),
                "resumed": sum(run["resumed"] for run in runs),
                "equal": sum(run["equal"] for run in runs),
                "worst": max(run["worst"] for run in runs),
                "secs": max(run["secs"] for run in runs),
            }
        )
    )


def _command(folder: Path) -> TrainCommand:
    epochs = f"training.num_epochs={_EPOCHS.value}"
    return TrainCommand(folder, num_ranks=_NUM_RANKS, overrides=[epochs])


def _kill(
    folder: Path, draw: random.Random, is_early: bool, undisturbed: TrainCommand
) -> dict[str, Any]:
    """Runs, and kills a rank before the first checkpoint or behind a later one."""
    command = _command(folder)
    start = time.monotonic()
    process = command.start()
    ranks: list[int] = []
    while len(ranks) < _NUM_RANKS:
        ranks = rank_processes(process)
        time.sleep(0.01)
    rank = draw.randrange(_NUM_RANKS)
    if is_early:
        time.sleep(draw.uniform(0.0, _EARLY_SECS))
    else:
        command.wait_for_step(draw.randrange(1, undisturbed.newest_step()))
        time.sleep(draw.uniform(0.0, _LATE_SECS))
    moment = time.monotonic() - start
    step = command.newest_step()
    try:
        os.kill(ranks[rank], signal.SIGKILL)
        was_there = True
    except ProcessLookupError:
        was_there = False
    output, _ = process.communicate(timeout=_TIMEOUT_SECS)
    is_good = process.returncode == 0
    worst = _difference(command, undisturbed) if is_good else float("inf")
    run = {
        "run": folder.name,
        "at_secs": round(moment, 1),
        "rank": rank,
        "was_there": was_there,
        "saved_step": step,
        "code": process.returncode,
        "secs": round(time.monotonic() - start, 1),
        "resumed": "event=resumed" in output,
        "equal": is_good and command.digest() == undisturbed.digest(),
        "worst": worst,
    }
    print(json.dumps(run), flush=True)
    if not is_good:
        (folder / "output.txt").write_text(output)
    return run


def _difference(command: TrainCommand, undisturbed: TrainCommand) -> float:
    """Returns the largest relative difference of a metric."""
    found = command.metrics()
    differences: list[float] = [
        abs(found[name] - value) / max(abs(value), 1e-9)
        for name, value in undisturbed.metrics().items()
        if isinstance(value, float)
    ]
    return max(differences)


if __name__ == "__main__":
    flags.mark_flag_as_required("work")
    app.run(main)
