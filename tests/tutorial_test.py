# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Runs docs/tutorial.md: every command, in order, and compares what it prints.

A block of `text` is the output of the block before it. A line `...` in it stands
for any lines; after `text numbers-vary` only the words are compared.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import documents
from tools.lint import workspace
from twhin.testing.command_process import TIMEOUT_SECS, process_environment

# build: needs //twhin/bin:export
# build: needs //twhin/bin:inspect_folder
# build: needs //twhin/bin:lookup
# build: needs //twhin/bin:neighbors
# build: needs //twhin/bin:prepare
# build: needs //twhin/bin:serve
# build: needs //twhin/bin:train
# build: needs //twhin/client:open_source

_TUTORIAL = workspace.root() / "docs" / "tutorial.md"
_BAZEL = re.compile(r"\./bazelw run //twhin:(\w+) --")
# The command whose file could not have its name.
_FILES = {"inspect": "inspect_folder"}
_NUMBER = re.compile(r"-?\d[\d.,]*")


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
    output = ""
    num_run = num_compared = 0
    for block in documents.blocks(_TUTORIAL):
        if block.kind in ("sh", "python"):
            output = _run(block, folder)
            num_run += 1
        elif block.kind.startswith("text"):
            assert _fits(block, output), f"{block.text}\n--- printed:\n{output}"
            num_compared += 1
    assert num_run >= 8
    assert num_compared >= 6


@pytest.mark.parametrize(
    ("kind", "shown", "is_fitting"),
    [
        ("text", "a 1\nb 2\n", True),
        ("text", "a 1\nb 3\n", False),
        ("text", "...\nb 2\n", True),
        ("text", "...\na 1\n", False),
        ("text numbers-vary", "a 7\nb 3.5\n", True),
        ("text numbers-vary", "a 7\nc 3.5\n", False),
    ],
)
def test_outputs_are_compared(kind: str, shown: str, is_fitting: bool) -> None:
    assert _fits(documents.Block(kind, shown), "a 1\nb 2\n") is is_fitting


def _run(block: documents.Block, folder: Path) -> str:
    """Runs a block; returns what it wrote to stdout."""
    if block.kind == "python":
        arguments = [sys.executable, "-c", block.text]
    else:
        script = _BAZEL.sub(_module, block.text)
        assert "bazel" not in script
        arguments = ["bash", "-euo", "pipefail", "-c", script]
    log = folder / "stderr"
    with log.open("w") as errors:
        done = subprocess.run(
            arguments,
            cwd=folder,
            env={**process_environment(), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            timeout=TIMEOUT_SECS,
            check=False,
        )
    assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{log.read_text()}"
    return done.stdout


def _module(match: "re.Match[str]") -> str:
    return f"'{sys.executable}' -m twhin.bin.{_FILES.get(match[1], match[1])}"


def _fits(block: documents.Block, output: str) -> bool:
    shown = block.text
    if block.kind.endswith("numbers-vary"):
        shown, output = (_words(text) for text in (shown, output))
    pattern = re.escape(shown).replace(re.escape("...\n"), "(?:.*\n)*")
    return re.fullmatch(pattern, output) is not None


def _words(text: str) -> str:
    return re.sub(r" +", " ", _NUMBER.sub("#", text))
