# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Holds the direction of imports that docs/architecture.md states."""

import pytest

from tools.build import sync_build_files
from tools.lint import workspace

# Each package with the packages that it may import from besides itself.
_CORE = ("config", "graph", "model", "evaluation", "checkpoint", "training", "export")
_ALLOWED = {
    **{name: {"errors", "testing", *_CORE[:place]} for place, name in enumerate(_CORE)},
    "bundle": {"errors"},
    "retrieval": {"errors", "bundle"},
    "serving": {"errors", "bundle", "retrieval"},
    "client": {"errors", "bundle", "retrieval"},
    "testing": {"errors", "config", "graph", "model"},
    "errors": set(),
}
_ALLOWED["export"] |= {"bundle", "retrieval"}

_MESSAGES = {"config", "bundle", "retrieval", "export", "serving", "client", "bin"}
# Third-party modules that only some packages may import.
_RESERVED = {
    "absl": {"bin"},
    "torchrec": {"training"},
    "fbgemm_gpu": {"training"},
    "duckdb": {"graph"},
    "pyarrow": {"graph", "export", "evaluation", "testing"},
    "grpc": {"serving", "client", "bin"},
    "faiss": {"retrieval"},
}
_WITHOUT_TORCH = {"bundle", "retrieval", "serving"}


def _imports() -> list[tuple[str, str, str]]:
    """Returns (file, its package, imported module) for all of twhin but tests."""
    top = workspace.root() / "twhin"
    found = []
    for path in workspace.python_files():
        if not path.is_relative_to(top) or path.stem.endswith("_test"):
            continue
        relative = path.relative_to(top)
        package = relative.parts[0].removesuffix(".py")
        for module in sorted(sync_build_files.imported_modules(path.read_text())):
            found.append((str(relative), package, module))
    return found


def test_imports_point_one_way() -> None:
    faults = []
    for file, package, module in _imports():
        parts = module.split(".")
        if parts[0] != "twhin" or package == "bin":
            continue
        if parts[1] == "v1":
            if package not in _MESSAGES:
                faults.append(f"{file}: imports {module}; only {sorted(_MESSAGES)} may")
        elif parts[1] != package and parts[1] not in _ALLOWED[package]:
            faults.append(f"{file}: imports {module}; allowed: {_ALLOWED[package]}")
    assert not faults, "\n".join(faults)


def test_third_party_modules_stay_in_their_packages() -> None:
    faults = []
    for file, package, module in _imports():
        top = module.split(".")[0]
        if top in _RESERVED and package not in _RESERVED[top]:
            faults.append(
                f"{file}: imports {module}; only {sorted(_RESERVED[top])} may"
            )
        if top == "torch" and package in _WITHOUT_TORCH:
            faults.append(f"{file}: imports {module}; a server starts without torch")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("package", sorted(_ALLOWED))
def test_every_rule_names_a_package_that_exists(package: str) -> None:
    top = workspace.root() / "twhin"

    assert (top / package).is_dir() or (top / f"{package}.py").is_file()
