# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Runs pytest on the files of the command line, the way Bazel asks for.

Reference: https://bazel.build/reference/test-encyclopedia (the environment
variables).
"""

import os
import sys
from pathlib import Path

import pytest


class ShardPlugin:
    """Keeps every n-th test: those of this shard."""

    def __init__(self, index: int, total: int) -> None:
        """Takes the shard's number, from 0, and the number of shards."""
        self._index = index
        self._total = total

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Drops the tests of other shards."""
        items[:] = items[self._index :: self._total]


def main(arguments: list[str]) -> int:
    """Runs the tests; returns pytest's exit code, 0 where a shard is empty."""
    options = ["--import-mode=importlib", "--quiet", "--color=no", "-ra"]
    # Files of the command line are tests whatever their name. A wider pattern would
    # have pytest rewrite the assertions of torch and all else that it imports.
    options += ["-p", "no:cacheprovider", "--override-ini=python_files=*_test.py"]
    if report := os.environ.get("XML_OUTPUT_FILE"):
        options.append(f"--junitxml={report}")
    if folder := os.environ.get("TEST_TMPDIR"):
        options.append(f"--basetemp={folder}/pytest")
    if expression := os.environ.get("TESTBRIDGE_TEST_ONLY"):
        options += ["-k", expression]
    plugins: list[object] = []
    total = int(os.environ.get("TEST_TOTAL_SHARDS", "0"))
    if total:
        plugins.append(ShardPlugin(int(os.environ["TEST_SHARD_INDEX"]), total))
        Path(os.environ["TEST_SHARD_STATUS_FILE"]).touch()
    code = int(pytest.main([*options, *arguments], plugins=plugins))
    if code == pytest.ExitCode.NO_TESTS_COLLECTED and total:
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
