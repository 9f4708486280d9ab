# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of client_wheel: the wheel works with its three dependencies alone."""

import importlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.wheel import client_wheel
from twhin.testing.served_bundle import user_id, write_bundle

# typing_extensions is what grpcio depends on.
_ALLOWED = ("google", "grpc", "numpy", "numpy.libs", "typing_extensions.py")
_USE = """
import importlib, sys
from pathlib import Path
wheel, libraries, bundle, user = sys.argv[1:]
sys.path[:0] = [wheel, libraries]
lazy = {
    "twhin.bundle.row_loops",
    "twhin.client.torch_lookup",
    "twhin.client.local_retrieval",
    "twhin.cpu.compiled",
    "twhin.cpu.prefetch",
}
for path in sorted(Path(wheel, "twhin").rglob("*.py")):
    name = ".".join(path.relative_to(wheel).with_suffix("").parts)
    if name not in lazy and not name.startswith("twhin.retrieval."):
        importlib.import_module(name)
for name in ("torch", "faiss", "numba", "prometheus_client", "yaml"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(f"{name} can be imported: the test shows nothing")
from twhin.client.open_source import open_source
source = open_source(bundle)
print(source.lookup("user", [int(user), 5]).values.tolist())
"""


@pytest.fixture(name="wheel")
def _wheel(tmp_path: Path) -> Path:
    return client_wheel.write_wheel(tmp_path / "dist")


def _libraries(folder: Path) -> Path:
    """Returns a folder with the allowed libraries and nothing else."""
    folder.mkdir()
    for name in _ALLOWED:
        module = name.removesuffix(".py").split(".")[0]
        spec = importlib.util.find_spec(module)
        assert spec is not None
        if name == "google":
            protobuf = importlib.import_module("google.protobuf").__path__[0]
            (folder / "google").mkdir()
            (folder / "google" / "protobuf").symlink_to(protobuf)
            # The C part lies beside it.
            upb = Path(protobuf).parent / "_upb"
            if upb.exists():
                (folder / "google" / "_upb").symlink_to(upb)
            continue
        assert spec.origin is not None
        parent = Path(spec.origin).parent
        place = parent if name.endswith(".py") else parent.parent
        if (place / name).exists():
            (folder / name).symlink_to(place / name)
    return folder


def _use(installed: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle", num_shards=2)
    libraries = _libraries(tmp_path / "libraries")
    # -S: no site-packages; -I: nothing of the environment.
    arguments = [installed, libraries, tmp_path / "bundle", user_id(2)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _USE, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "[[2.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]\n"


def test_unpacked_wheel_looks_up_with_three_libraries(
    wheel: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")

    _use(tmp_path / "installed", tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="needs pip")
def test_pip_installs_the_wheel(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--no-index", "--disable-pip-version-check", "--target", target, wheel),
        ],
        check=True,
        timeout=60,
    )

    _use(target, tmp_path)


def test_wheel_holds_the_client_and_no_server(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(
            next(name for name in names if name.endswith("/METADATA"))
        ).decode()

    assert "twhin/client/remote_source.py" in names
    assert "twhin/v1/embedding_service_pb2.py" in names
    packages = {name.split("/")[1] for name in names if name.startswith("twhin/")}
    assert packages == {
        "allocator.py",
        "bundle",
        "client",
        "cpu",
        "errors.py",
        "retrieval",
        "scoring.py",
        "side.py",
        "v1",
    }
    assert not any(name.endswith("_test.py") for name in names)
    required = [
        line for line in metadata.splitlines() if line.startswith("Requires-Dist")
    ]
    always = [line for line in required if "extra" not in line]
    assert [line.split()[1].split(">")[0] for line in always] == [
        "grpcio",
        "numpy",
        "protobuf",
    ]


def test_same_sources_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    again = client_wheel.write_wheel(tmp_path / "again")

    assert again.read_bytes() == wheel.read_bytes()


@pytest.mark.skipif("TWHIN_WHEEL" not in os.environ, reason="Bazel names its wheel")
def test_bazel_builds_this_wheel(wheel: Path) -> None:
    built = Path(os.environ["TWHIN_WHEEL"])

    assert built.name == wheel.name
    assert built.read_bytes() == wheel.read_bytes()
