# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that BUILD files are equal to the imports."""

from tools.build import sync_build_files
from tools.lint import workspace


def test_build_files_are_equal_to_the_imports() -> None:
    root = workspace.root()

    needs, faults = sync_build_files.collect_dependencies(root)
    stale = [
        str(path.relative_to(root))
        for path in sync_build_files.stale_files(root, needs)
    ]

    assert not faults, "\n".join(faults.values())
    assert not stale, f"run tools/build/sync_build_files.py; stale: {stale}"
