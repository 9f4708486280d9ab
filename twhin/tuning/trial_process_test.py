# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Trials in real processes, with a small program in the place of training."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from twhin.testing.command_process import process_environment
from twhin.tuning.trial_process import TrialError, TrialProcess

_METRIC = "valid/link_prediction/filtered/mrr"
# Writes the metrics that its overrides spell out.
_FAKE = """
import pathlib, signal, sys, time
folder = pathlib.Path(next(a for a in sys.argv if a.startswith("--output_dir=")).split("=", 1)[1])
value = next(a for a in sys.argv if a.startswith("--override=value=")).split("=", 2)[2]
print("training", flush=True)
if value == "crash":
    print("out of memory\\n", file=sys.stderr)
    sys.exit(7)
if value == "wait":
    def stop(number, frame):
        (folder / "stopped").touch()
        sys.exit(143)
    signal.signal(signal.SIGTERM, stop)
    (folder / "ready").touch()
    time.sleep(60)
if value != "silent":
    (folder / "metrics.json").write_text('{"valid/link_prediction/filtered/mrr": %s}' % value)
"""
_WAITING = """
import signal, sys
from pathlib import Path
from twhin.tuning import trial_process_test
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
trial_process_test.make_process().run(Path(sys.argv[1]), ["value=wait"])
"""


def make_process() -> TrialProcess:
    """Returns the process of the small program."""
    return TrialProcess([sys.executable, "-c", _FAKE], metric=_METRIC)


def test_metric_of_the_run_is_returned(tmp_path: Path) -> None:
    folder = tmp_path / "trials" / "00000"

    value = make_process().run(folder, ["value=0.25"])

    assert value == 0.25
    assert (folder / "train.log").read_text() == "training\n"


def test_process_that_fails_is_reported_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(TrialError) as raised:
        make_process().run(tmp_path, ["value=crash"])

    assert str(raised.value) == (
        f"{tmp_path}/train.log: training ended with code 7; out of memory"
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NaN", f"{_METRIC!r} is nan; a number is needed"),
        ("null", f"{_METRIC!r} is None; a number is needed"),
        ("{", "no metrics: Expecting"),
        ("silent", "no metrics: [Errno 2]"),
    ],
)
def test_run_without_the_metric_is_reported(
    tmp_path: Path, value: str, reason: str
) -> None:
    with pytest.raises(TrialError) as raised:
        make_process().run(tmp_path, [f"value={value}"])

    assert str(raised.value).startswith(f"{tmp_path}/metrics.json: {reason}")


def test_process_is_told_to_stop_when_the_search_is(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WAITING, str(tmp_path)], env=process_environment()
    ) as search:
        deadline = time.monotonic() + 60
        while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        search.send_signal(signal.SIGTERM)

        assert search.wait(60) == 143

    assert (tmp_path / "stopped").exists()


def test_descriptors_that_are_handed_on_stay_open(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    program = f"import os; os.write({writer}, b'x')"
    process = TrialProcess([sys.executable, "-c", program], metric=_METRIC)

    with pytest.raises(TrialError, match="no metrics"):
        process.run(tmp_path, [], kept_files=[writer])

    assert os.read(reader, 1) == b"x"
    os.close(reader)
    os.close(writer)
