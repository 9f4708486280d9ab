# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Keeps BUILD files equal to the imports.

    python tools/build/sync_build_files.py             rewrites them
    python tools/build/sync_build_files.py twhin/graph rewrites one package's
    python tools/build/sync_build_files.py --check     lists those that differ

For each .py file there is one py_library, or a pytest_test for NAME_test.py, or a
py_binary where the file runs as a program (`if __name__ == "__main__"`), with the
dependencies that the file imports, and with the visibility of the packages
that import it. A comment `# build: needs //label` in a file adds what no import
shows. Other attributes, other rules and comments stay as they were written.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

if not __package__:  # Run as a file: the root is not on the path yet.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.build import build_file
from tools.build.build_file import Statement, label_key, list_literal
from tools.build.distributions import DISTRIBUTIONS

_TREES = ("examples", "tests", "tools", "twhin")
_GENERATED = "twhin.v1"
_NEEDS = re.compile(r"^# build: needs (\S+)$", re.MULTILINE)
_LOAD = 'load("//tools/build:pytest_test.bzl", "pytest_test")'
_KINDS = ("py_binary", "py_library", "pytest_test")
_MAIN_GUARD = 'if __name__ == "__main__":'
_HAND_WRITTEN = {"tools/proto/protoc.py", "tools/testing/pytest_main.py"}


class UnknownModuleError(Exception):
    """An import of something that is neither ours nor a direct dependency."""


def find_sources(root: Path) -> list[Path]:
    """Returns the Python files that get a target, relative to the root."""
    return sorted(
        path.relative_to(root)
        for tree in _TREES
        for path in (root / tree).rglob("*.py")
        if not path.stem.endswith(("_pb2", "_pb2_grpc"))
        and str(path.relative_to(root)) not in _HAND_WRITTEN
    )


def imported_modules(source: str) -> set[str]:
    """Returns the dotted names that a file imports, wherever it does."""
    modules = set()
    for part in ast.walk(ast.parse(source)):
        if isinstance(part, ast.Import):
            modules |= {alias.name for alias in part.names}
        elif isinstance(part, ast.ImportFrom) and part.module:
            modules |= {f"{part.module}.{alias.name}" for alias in part.names}
    return modules


def label_of(path: Path) -> str:
    """Returns the label of a source file's target."""
    return f"//{path.parent}:{path.stem}"


def dependencies(root: Path, path: Path) -> set[str]:
    """Returns the absolute labels of what a file imports.

    Raises:
      UnknownModuleError: A module has no known target.
    """
    source = (root / path).read_text()
    labels = set(_NEEDS.findall(source))
    for module in imported_modules(source):
        labels |= _labels_of_module(root, path, module)
    return labels - {label_of(path)}


def _labels_of_module(root: Path, path: Path, module: str) -> set[str]:
    parts = module.split(".")
    if parts[0] in sys.stdlib_module_names:
        return set()
    if parts[0] in _TREES:
        return {_local_label(root, path, parts)}
    found = {
        f"//third_party/python:{distribution}"
        for prefix, distribution in DISTRIBUTIONS.items()
        if module == prefix or module.startswith(prefix + ".")
    }
    if not found:
        raise UnknownModuleError(
            f"{path}: import of {module!r}; not in distributions.py"
        )
    return found


def _local_label(root: Path, path: Path, parts: list[str]) -> str:
    for length in (len(parts), len(parts) - 1):
        if ".".join(parts[: length - 1]) == _GENERATED:
            stem = parts[length - 1].removesuffix("_grpc")
            return f"//twhin/v1:{stem.removesuffix('_pb2')}_py_pb2"
        file = Path(*parts[:length]).with_suffix(".py")
        if (root / file).is_file():
            return label_of(file)
    raise UnknownModuleError(f"{path}: import of {'.'.join(parts)!r}; no such file")


def new_text(
    root: Path,
    package: Path,
    files: list[Path],
    needs: Mapping[Path, set[str]],
    users: Mapping[str, set[Path]],
) -> str:
    """Returns the BUILD file of a package."""
    target = root / package / "BUILD.bazel"
    statements = build_file.parse(target.read_text()) if target.is_file() else []
    old = {s.name: s for s in statements if s.kind in _KINDS}
    kept = [
        s
        for s in statements
        if s.name not in old or f"{package}/{s.name}.py" in _HAND_WRITTEN
    ]
    rules = []
    for path in sorted(files, key=lambda p: (p.stem.removesuffix("_test"), p.stem)):
        kind = _kind_of(root / path)
        rule = old.get(path.stem, Statement("", "", kind, {"name": f'"{path.stem}"'}))
        rule.kind = kind
        rule.attributes["srcs"] = list_literal([path.name])
        if kind == "pytest_test":
            rule.attributes.setdefault("size", '"small"')
        _set_list(rule, "deps", _shorten(needs[path], package))
        if kind == "py_binary":
            rule.attributes["visibility"] = '["//visibility:public"]'
        elif kind == "py_library" and "public" not in rule.attributes.get(
            "visibility", ""
        ):
            packages = {str(user.parent) for user in users[label_of(path)]}
            visible = {f"//{p}:__pkg__" for p in packages - {str(package)}}
            _set_list(rule, "visibility", sorted(visible, key=label_key))
        rules.append(rule)
    loads = [s for s in kept if s.text.startswith("load(")]
    others = [s for s in kept if s not in loads]
    if any(r.kind == "pytest_test" for r in rules) and not any(
        s.text == _LOAD for s in loads
    ):
        loads.append(Statement("", _LOAD))
    head = [s for s in others if s.text.startswith("package(")]
    return build_file.render(
        [*loads, *head, *(s for s in others if s not in head), *rules]
    )


def _kind_of(file: Path) -> str:
    if file.stem.endswith("_test"):
        return "pytest_test"
    return "py_binary" if _MAIN_GUARD in file.read_text() else "py_library"


def _shorten(labels: set[str], package: Path) -> list[str]:
    short = {
        label.removeprefix(f"//{package}")
        if label.startswith(f"//{package}:")
        else label
        for label in labels
    }
    return sorted(short, key=label_key)


def _set_list(rule: Statement, attribute: str, values: list[str]) -> None:
    rule.attributes.pop(attribute, None)
    if values:
        rule.attributes[attribute] = list_literal(values)


def collect_dependencies(root: Path) -> tuple[dict[Path, set[str]], dict[Path, str]]:
    """Returns the labels that each file needs, and what is wrong with others."""
    needs, faults = {}, {}
    for path in find_sources(root):
        try:
            needs[path] = dependencies(root, path)
        except (SyntaxError, UnknownModuleError) as err:
            faults[path] = str(err)
    return needs, faults


def stale_files(root: Path, needs: Mapping[Path, set[str]]) -> dict[Path, str]:
    """Returns the BUILD files that differ from the imports, with their new text."""
    users: dict[str, set[Path]] = defaultdict(set)
    packages: dict[Path, list[Path]] = defaultdict(list)
    for path, labels in needs.items():
        packages[path.parent].append(path)
        for label in labels:
            users[label].add(path)
    stale = {}
    for package, files in packages.items():
        text = new_text(root, package, files, needs, users)
        target = root / package / "BUILD.bazel"
        if not target.is_file() or target.read_text() != text:
            stale[target] = text
    return stale


def main(argv: list[str]) -> int:
    """Writes or checks; returns 1 for a fault, or a stale file where it checks."""
    root = Path(__file__).resolve().parents[2]
    check = "--check" in argv
    chosen = {Path(name).resolve() for name in argv if name != "--check"}
    needs, faults = collect_dependencies(root)
    broken = {root / path.parent for path in faults}
    stale = [
        (target, text)
        for target, text in stale_files(root, needs).items()
        if target.parent not in broken and (not chosen or target.parent in chosen)
    ]
    for target, text in stale:
        print(target.relative_to(root))
        if not check:
            target.write_text(text)
    wrong = [
        fault
        for path, fault in faults.items()
        if not chosen or root / path.parent in chosen
    ]
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return min(len(wrong) + (len(stale) if check else 0), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
