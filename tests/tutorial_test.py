# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Runs docs/tutorial.md: every command, in order, and compares what it prints."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shown_commands import check_page
from tools.lint import workspace

# build: needs //twhin/bin:export
# build: needs //twhin/bin:inspect_folder
# build: needs //twhin/bin:lookup
# build: needs //twhin/bin:neighbors
# build: needs //twhin/bin:prepare
# build: needs //twhin/bin:serve
# build: needs //twhin/bin:train
# build: needs //twhin/client:open_source


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Iterator[Path]:
    """Gives a folder to run in; ends the server that was started there."""
    yield tmp_path
    pid_file = tmp_path / "shop" / "server.pid"
    if pid_file.is_file():
        # The tutorial itself has stopped it, where it came to its end.
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid_file.read_text()), signal.SIGTERM)


def test_every_command_works_and_prints_what_the_page_shows(folder: Path) -> None:
    num_run, num_compared = check_page(
        workspace.root() / "docs" / "tutorial.md", folder
    )

    assert num_run >= 8
    assert num_compared >= 6
