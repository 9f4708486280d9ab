# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The files that checks read: the whole work tree, whatever Bazel declares."""

import os
from pathlib import Path

_HIDDEN_KEPT = {
    ".bazelignore",
    ".bazelrc",
    ".bazelversion",
    ".ci",
    ".dockerignore",
    ".gitignore",
    ".pre-commit-config.yaml",
}
# Where runs write without --output_dir.
_OUTPUTS = "outputs"
_SUFFIXES_LEFT_OUT = (".pyc", ".parquet")


def root() -> Path:
    """Returns the root of the work tree, followed through a test's links."""
    return Path(os.path.realpath(__file__)).parents[2]


def files() -> list[Path]:
    """Returns the files of the work tree, without what git or Bazel keep."""
    top = root()
    found = []
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if _kept(name)]
        if Path(folder) == top and _OUTPUTS in folders:
            folders.remove(_OUTPUTS)
        found += [Path(folder, name) for name in names if _kept(name)]
    return sorted(p for p in found if p.suffix not in _SUFFIXES_LEFT_OUT)


def python_files() -> list[Path]:
    """Returns our Python files, generated ones left out."""
    return [
        path
        for path in files()
        if path.suffix == ".py" and not path.stem.endswith(("_pb2", "_pb2_grpc"))
    ]


def _kept(name: str) -> bool:
    if name.startswith("."):
        return name in _HIDDEN_KEPT
    return name != "__pycache__" and not name.startswith("bazel-")
