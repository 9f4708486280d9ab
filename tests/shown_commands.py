# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Runs the commands that a page shows, and compares what they print.

Blocks of `sh` and `python` are run in order. A block of `text` is the output of the
block before it. A line `...` in it stands for any lines; after `text numbers-vary`
only the words are compared. Blocks of another kind, `sh no-run`, are left alone.
"""

import re
import subprocess
import sys
from pathlib import Path

from tests import documents
from twhin.testing.command_process import TIMEOUT_SECS, process_environment

_BAZEL = re.compile(r"\./bazelw run //twhin:(\w+)(?: --(?= ))?")
# The command whose file could not have its name.
_FILES = {"inspect": "inspect_folder"}
_NUMBER = re.compile(r"-?\d[\d.,]*")


def check_page(document: Path, folder: Path) -> tuple[int, int]:
    """Runs a page's blocks; returns how many were run and how many compared.

    Args:
      document: The page.
      folder: The working directory.
    """
    output = ""
    num_run = num_compared = 0
    for block in documents.blocks(document):
        if block.kind in ("sh", "python"):
            output = _run(block, folder)
            num_run += 1
        elif block.kind.startswith("text"):
            assert fits(block, output), f"{block.text}\n--- printed:\n{output}"
            num_compared += 1
    return num_run, num_compared


def fits(block: documents.Block, output: str) -> bool:
    """Returns whether an output is what a block of text shows."""
    shown = block.text
    if block.kind.endswith("numbers-vary"):
        shown, output = (_words(text) for text in (shown, output))
    pattern = re.escape(shown).replace(re.escape("...\n"), "(?:.*\n)*")
    return re.fullmatch(pattern, output) is not None


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


def _words(text: str) -> str:
    return re.sub(r" +", " ", _NUMBER.sub("#", text))
