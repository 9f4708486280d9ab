# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The search: it finds, it goes on where it was, and it says when it cannot."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from twhin.errors import ConfigError, TwhinError
from twhin.testing.command_process import process_environment
from twhin.tuning.search import JOURNAL_FILE, Search
from twhin.tuning.search_space import Choices, Range, SearchSpace
from twhin.tuning.trial import Trial, TrialState, best_first
from twhin.tuning.trial_process import TrialError

_SPACE: SearchSpace = {
    "loss.margin": Range(low=-4.0, high=4.0, is_log=False, is_whole=False),
    "training.num_epochs": Range(low=1, high=9, is_log=False, is_whole=True),
    "loss.kind": Choices(values=('"softmax"', '"ranking"')),
}
# Ends a process without a word in its fourth trial.
_KILLED = """
import os, signal, sys
from pathlib import Path
from twhin.tuning import search_test
def evaluate(number, overrides):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return search_test.evaluate(number, overrides)
with search_test.open_search(Path(sys.argv[1])) as search:
    search.run(evaluate, num_trials=8)
"""


def open_search(
    folder: Path, space: SearchSpace = _SPACE, subject: str = "a"
) -> Search:
    """Opens a search over the margin, the epochs and the kind of loss."""
    return Search(folder, space=space, subject=subject, seed=1)


def evaluate(number: int, overrides: Sequence[str]) -> float:
    """Returns a metric with its greatest value 0 at margin 1, 5 epochs, softmax."""
    del number
    values = dict(override.split("=") for override in overrides)
    margin, epochs = float(values["loss.margin"]), int(values["training.num_epochs"])
    is_other = values["loss.kind"] != '"softmax"'
    return -((margin - 1) ** 2) - 0.1 * (epochs - 5) ** 2 - is_other


def _run(folder: Path, num_trials: int) -> list[Trial]:
    with open_search(folder) as search:
        search.run(evaluate, num_trials=num_trials)
        return search.trials


def _values(trials: Sequence[Trial]) -> list[object]:
    return [(trial.number, trial.values, trial.metric) for trial in trials]


def test_search_comes_closer_than_its_random_start(tmp_path: Path) -> None:
    trials = _run(tmp_path, 40)

    at_random, at_last = best_first(trials[:10])[0], best_first(trials)[0]
    assert at_last.metric is not None
    assert at_random.metric is not None
    assert at_last.metric > at_random.metric
    assert at_last.metric > -0.5
    assert at_last.values["loss.kind"] == '"softmax"'


def test_values_are_drawn_from_the_space(tmp_path: Path) -> None:
    trials = _run(tmp_path, 12)

    assert len({trial.values["loss.margin"] for trial in trials}) == 12
    for trial in trials:
        assert -4.0 <= json.loads(trial.values["loss.margin"]) <= 4.0
        assert json.loads(trial.values["training.num_epochs"]) in range(1, 10)
        assert trial.values["loss.kind"] in ('"softmax"', '"ranking"')


def test_interrupted_search_tries_what_an_uninterrupted_one_does(
    tmp_path: Path,
) -> None:
    whole = _run(tmp_path / "whole", 14)

    _run(tmp_path / "parts", 5)
    _run(tmp_path / "parts", 6)
    parts = _run(tmp_path / "parts", 14)

    assert _values(parts) == _values(whole)


def test_search_that_has_ended_tries_nothing(tmp_path: Path) -> None:
    first = _run(tmp_path, 3)

    assert _values(_run(tmp_path, 3)) == _values(first)


def test_killed_search_continues_the_trial_in_which_it_was_killed(
    tmp_path: Path,
) -> None:
    whole = _run(tmp_path / "whole", 8)
    folder = tmp_path / "killed"
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(folder)],
        env=process_environment(),
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    # As if it had been killed within a line, too.
    with (folder / JOURNAL_FILE).open("ab") as journal:
        journal.write(b'{"op_code": 4, "wor')
    numbers = []

    with open_search(folder) as search:
        assert search.trials[3].state is TrialState.RUNNING
        search.run(evaluate, num_trials=8, on_trial=lambda t: numbers.append(t.number))

    assert numbers == [3, 4, 5, 6, 7]
    assert _values(_run(folder, 8)) == _values(whole)


def test_search_begins_with_the_values_that_it_is_given(tmp_path: Path) -> None:
    with open_search(tmp_path) as search:
        search.begin_with({"loss.margin": 1.0, "loss.kind": '"softmax"'})
        search.run(evaluate, num_trials=2)
        search.begin_with({"loss.margin": 2.0})
        search.run(evaluate, num_trials=3)

        first, _, third = search.trials

    assert first.values["loss.margin"] == "1.0"
    assert first.values["loss.kind"] == '"softmax"'
    assert third.values["loss.margin"] != "2.0"


def test_values_that_the_configuration_refuses_are_not_counted(tmp_path: Path) -> None:
    def refuse_ranking(number: int, overrides: Sequence[str]) -> float:
        if 'loss.kind="ranking"' in overrides:
            raise ConfigError("loss.kind: bad; allowed: good")
        return evaluate(number, overrides)

    with open_search(tmp_path) as search:
        search.run(refuse_ranking, num_trials=6)
        trials = search.trials

    states = [trial.state for trial in trials]
    assert states.count(TrialState.COMPLETE) == 6
    refused = [trial for trial in trials if trial.state is TrialState.INVALID]
    assert refused
    assert {trial.reason for trial in refused} == {"loss.kind: bad; allowed: good"}


def test_trial_that_fails_is_counted_and_the_search_goes_on(tmp_path: Path) -> None:
    def fail_once(number: int, overrides: Sequence[str]) -> float:
        if number == 1:
            raise TrialError("log: training ended with code 1; out of memory")
        return evaluate(number, overrides)

    with open_search(tmp_path) as search:
        search.run(fail_once, num_trials=4)
        trials = search.trials

    assert [trial.state.value for trial in trials] == [
        "complete",
        "failed",
        *["complete"] * 2,
    ]
    assert trials[1].metric is None
    assert trials[1].reason.endswith("out of memory")


def test_search_that_always_fails_stops_with_the_reason(tmp_path: Path) -> None:
    def fail(number: int, overrides: Sequence[str]) -> float:
        raise TrialError(f"reason {number}")

    with (
        open_search(tmp_path) as search,
        pytest.raises(
            TwhinError, match=r"^trial 2: 3 trials in a row failed; the last: reason 2$"
        ),
    ):
        search.run(fail, num_trials=9)


def test_bug_in_a_trial_ends_the_search_and_the_trial_is_continued(
    tmp_path: Path,
) -> None:
    def break_down(number: int, overrides: Sequence[str]) -> float:
        raise KeyError(number)

    with open_search(tmp_path) as search, pytest.raises(KeyError):
        search.run(break_down, num_trials=2)

    assert [trial.number for trial in _run(tmp_path, 2)] == [0, 1]


def test_folder_of_another_search_is_refused(tmp_path: Path) -> None:
    _run(tmp_path, 1)
    other: SearchSpace = {"loss.margin": _SPACE["loss.margin"]}

    with pytest.raises(ConfigError, match="a search with another subject; allowed"):
        open_search(tmp_path, subject="b")
    with pytest.raises(ConfigError, match="a search with another space; allowed"):
        open_search(tmp_path, space=other)


def test_folder_has_one_search_at_a_time(tmp_path: Path) -> None:
    with (
        open_search(tmp_path),
        pytest.raises(ConfigError, match="held by another search"),
    ):
        open_search(tmp_path)

    open_search(tmp_path).__exit__(None, None, None)


def test_folder_stays_held_by_a_process_that_inherited_the_lock(tmp_path: Path) -> None:
    with open_search(tmp_path) as search:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"],
            stdin=subprocess.PIPE,
            pass_fds=[search.lock],
        )
    with child:
        with pytest.raises(ConfigError, match="or by a training that it left"):
            open_search(tmp_path)
        child.communicate(b"\n")

    with open_search(tmp_path) as search:
        assert os.fstat(search.lock)
