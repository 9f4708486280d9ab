# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Holds the direction of imports that docs/architecture.md states."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.build import sync_build_files
from tools.lint import workspace

# The way of the data: each package may import from those before it.
_TRAINING = (
    "config",
    "graph",
    "cpu",
    "model",
    "evaluation",
    "checkpoint",
    "warm_start",
    "training",
)
_SERVING = ("bundle", "retrieval")
_ALLOWED: dict[str, set[str]] = {
    **{name: set(_TRAINING[:place]) for place, name in enumerate(_TRAINING)},
    "bundle": {"cpu"},
    "retrieval": {"bundle"},
    "serving": set(_SERVING),
    "client": set(_SERVING),
    "page": set(),
    "explore": {"page", *_SERVING},
    "export": {*_TRAINING[:7], *_SERVING},
    "report": {"page", *_TRAINING[:6]},
    "tuning": {"config"},
}
# Modules beside the packages, which import nothing of ours.
_BASE = {"allocator", "errors", "scoring", "side"}
# Programs join everything, and nothing imports them.
_PROGRAMS = "bin"
# What only tests import.
_TESTING = "testing"

_MESSAGES = {"config", "export", "client", "bin", *_SERVING, "serving"}
# Third-party modules that only some packages may import.
_RESERVED = {
    "absl": {"bin"},
    "duckdb": {"graph"},
    "faiss": {"retrieval"},
    "fbgemm_gpu": {"training"},
    "grpc": {"serving", "client", "bin"},
    "llvmlite": {"cpu"},
    "numba": {"cpu"},
    "opentelemetry": {"serving"},
    "optuna": {"tuning"},
    "pyarrow": {"graph", "export", "report"},
    "pyspark": {"graph"},
    "torchrec": {"training"},
}
_WITHOUT_TORCH = {"bundle", "retrieval", "serving", "explore", "tuning"}


@dataclass(frozen=True, slots=True)
class _Import:
    file: str
    package: str
    module: str

    @property
    def target(self) -> str:
        """The package of ours that is imported, or "" for other modules."""
        parts = self.module.split(".")
        return parts[1] if parts[0] == "twhin" and len(parts) > 1 else ""

    def fault(self, allowed: object) -> str:
        """Returns the line that reports the import."""
        return f"{self.file}: imports {self.module}; allowed: {allowed}"


def _imports() -> Iterator[_Import]:
    """Yields the imports of all of twhin but tests and their helpers."""
    top = workspace.root() / "twhin"
    for path in workspace.python_files():
        if not path.is_relative_to(top) or path.stem.endswith("_test"):
            continue
        relative = path.relative_to(top)
        package = relative.parts[0].removesuffix(".py")
        if package != _TESTING:
            for module in sorted(sync_build_files.imported_modules(path.read_text())):
                yield _Import(str(relative), package, module)


def test_imports_point_one_way() -> None:
    faults = []
    for each in _imports():
        if each.target == "v1":
            if each.package not in _MESSAGES:
                faults.append(each.fault(f"messages in {sorted(_MESSAGES)} only"))
        elif each.target in (_PROGRAMS, _TESTING) and each.target != each.package:
            faults.append(each.fault("from tests only"))
        elif each.package != _PROGRAMS and each.target not in ("", each.package):
            allowed = _BASE | _ALLOWED.get(each.package, set())
            if each.target not in allowed:
                faults.append(each.fault(sorted(allowed)))
    assert not faults, "\n".join(faults)


def test_third_party_modules_stay_in_their_packages() -> None:
    faults = []
    for each in _imports():
        top = each.module.split(".")[0]
        if each.package not in _RESERVED.get(top, {each.package}):
            faults.append(each.fault(f"{top} in {sorted(_RESERVED[top])} only"))
        if top == "torch" and each.package in _WITHOUT_TORCH:
            faults.append(each.fault("no torch: servers and tools start without it"))
    assert not faults, "\n".join(faults)


def test_every_package_has_a_rule() -> None:
    top = workspace.root() / "twhin"
    packages = {
        path.name for path in top.iterdir() if path.is_dir() and _has_sources(path)
    }

    assert packages == {*_ALLOWED, _PROGRAMS, _TESTING}


@pytest.mark.parametrize("module", sorted(_RESERVED))
def test_every_reserved_module_is_used(module: str) -> None:
    assert any(each.module.split(".")[0] == module for each in _imports())


def _has_sources(folder: Path) -> bool:
    return folder.name != "v1" and any(folder.rglob("*.py"))
