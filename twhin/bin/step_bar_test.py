# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks the log lines of steps, and the bar on a terminal."""

import io
import logging
import re

import pytest

from twhin.bin.step_bar import StepBar


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_each_step_is_logged_once_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    with StepBar() as bar:
        for fraction in (0.0, 0.5, 1.0):
            bar("reading", fraction)
        bar("writing", 0.0)
        assert [message[:20] for message in caplog.messages] == ["prepare step='readin"]

    assert len(caplog.messages) == 2
    assert re.fullmatch(r"prepare step='writing' secs=\d+\.\d", caplog.messages[1])


def test_failed_step_is_not_logged_as_done(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def fail() -> None:
        with StepBar() as bar:
            bar("reading", 0.5)
            raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        fail()

    assert caplog.messages == []


def test_terminal_shows_a_bar_that_ends_full(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)

    with StepBar() as bar:
        bar("reading", 0.0)
        bar("reading", 0.4)
        bar("reading", 0.3)  # Goes back: another query of the same step.

    last = terminal.getvalue().rstrip("\n").split("\r")[-1]
    assert last.startswith("reading")
    assert "100%" in last
