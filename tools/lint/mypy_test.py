# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Runs mypy, strict, over the work tree and the generated stubs."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import mypy

from tools.lint import workspace
from twhin.v1 import bundle_pb2, embedding_service_pb2, graph_pb2, train_config_pb2

# build: needs //third_party/python:mypy
# build: needs //third_party/python:grpc-stubs
# build: needs //third_party/python:types-protobuf
# build: needs //third_party/python:types-pyyaml

_GENERATED = (bundle_pb2, embedding_service_pb2, graph_pb2, train_config_pb2)


def test_mypy_finds_nothing(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for path in workspace.python_files():
        target = tree / path.relative_to(workspace.root())
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (tree / "twhin" / "v1").mkdir(parents=True)
    for module in _GENERATED:
        assert module.__file__ is not None
        stub = Path(module.__file__).with_suffix(".pyi")
        shutil.copy(stub, tree / "twhin" / "v1" / stub.name)
    shutil.copy(workspace.root() / "pyproject.toml", tree)
    python = _interpreter_with_libraries(tmp_path / "venv")

    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--python-executable", str(python)],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr


def _interpreter_with_libraries(folder: Path) -> Path:
    """Makes an environment in which mypy takes the libraries for installed."""
    venv.create(folder, symlinks=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    libraries = Path(mypy.__file__).resolve().parents[1]
    (site_packages / "libraries.pth").write_text(f"{libraries}\n")
    return folder / "bin" / "python"
