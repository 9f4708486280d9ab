# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Installs a lock into a folder and writes a BUILD file over it.

    install.py LOCK FOLDER BUILD_FILE

Run by the repository rule. Needs only pip.
"""

import compileall
import re
import subprocess
import sys
from collections import defaultdict
from importlib import metadata
from pathlib import Path, PurePosixPath
from py_compile import PycInvalidationMode

from pip._vendor.packaging.requirements import Requirement

_UPSTREAM_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# torchrec names the CUDA package; the CPU package serves the same modules.
_STANDS_FOR = {"fbgemm-gpu": "fbgemm-gpu-cpu"}

# A line of locks whose distributions are published as sources only.
_NO_WHEELS = "# Has source distributions."

_HEADER = """\
# Written by third_party/python/install.py.

load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")

package(default_visibility = ["//visibility:public"])

py_runtime(
    name = "runtime",
    interpreter_path = "{interpreter}",
    python_version = "PY3",
    stub_shebang = "#!{interpreter}",
)

py_runtime_pair(
    name = "runtime_pair",
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtime_pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

_LIBRARY = """
py_library(
    name = "{name}",
    data = {data},
    imports = ["{folder}"],
)
"""


_ALIAS = """
alias(
    name = "{name}",
    actual = ":{actual}",
)
"""


def normalize(name: str) -> str:
    """Returns the name of a distribution as locks and labels write it."""
    return name.lower().replace("_", "-").replace(".", "-")


def install(lock: Path, folder: Path) -> None:
    """Installs exactly what the lock names, each file checked by its hash.

    The configured index is asked first; where it does not have the CPU build of
    torch, the upstream CPU index is asked besides.
    """
    command = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps"]
    command += ["--require-hashes", "--no-compile"]
    if _NO_WHEELS not in lock.read_text():
        command.append("--only-binary=:all:")
    command += ["--disable-pip-version-check", "--root-user-action=ignore"]
    command += [f"--target={folder}", "--requirement", str(lock)]
    if subprocess.run(command, check=False).returncode == 0:
        return
    print("pip: trying again with the upstream index of CPU builds", file=sys.stderr)
    subprocess.run([*command, f"--extra-index-url={_UPSTREAM_CPU_INDEX}"], check=True)


def compile_modules(folder: Path) -> None:
    """Writes bytecode beside the modules, once for all processes.

    Tests cannot write it where they run, in a sandbox: each process would compile
    torch and torchrec anew, which takes seconds. Nothing here changes later, so the
    bytecode is not compared with its source. The distributions' own tests, and
    templates that are no Python, are left out.
    """
    compileall.compile_dir(
        folder,
        maxlevels=32,
        quiet=2,
        rx=re.compile(r"/tests?/"),
        workers=0,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


def drop_build_files(folder: Path) -> None:
    """Deletes files that would make Bazel see packages inside the folder."""
    for name in ("BUILD", "BUILD.bazel", "WORKSPACE", "WORKSPACE.bazel"):
        for path in folder.rglob(name):
            if path.is_file():
                path.unlink()


def owned_paths(folder: Path) -> dict[str, list[str]]:
    """Returns the smallest set of paths that covers each distribution alone.

    A folder that several distributions share (`google`) is split.
    """
    files: dict[str, list[PurePosixPath]] = {}
    owners: dict[PurePosixPath, set[str]] = defaultdict(set)
    for distribution in metadata.distributions(path=[str(folder)]):
        name = normalize(distribution.metadata["Name"])
        files[name] = []
        for file in distribution.files or []:
            path = PurePosixPath(str(file).replace("../../bin/", "bin/"))
            if ".." not in path.parts and (folder / path).exists():
                files[name].append(path)
                for place in (path, *path.parents):
                    owners[place].add(name)
    return {name: _cover(paths, owners) for name, paths in files.items()}


def _cover(
    paths: list[PurePosixPath], owners: dict[PurePosixPath, set[str]]
) -> list[str]:
    covers = set()
    for path in paths:
        places = [path, *list(path.parents)[:-1]]
        covers.add(str([p for p in places if len(owners[p]) == 1][-1]))
    return sorted(covers)


def closure(folder: Path) -> dict[str, set[str]]:
    """Returns each distribution with all that it needs, itself included."""
    needs = {}
    for distribution in metadata.distributions(path=[str(folder)]):
        name = normalize(distribution.metadata["Name"])
        needs[name] = set(_direct(distribution.requires or []))
    result = {}
    for name in needs:
        reached, waiting = set(), [name]
        while waiting:
            current = waiting.pop()
            if current not in reached and current in needs:
                reached.add(current)
                waiting.extend(needs[current])
        result[name] = reached
    return result


def _direct(requirements: list[str]) -> list[str]:
    names = []
    for text in requirements:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}):
            name = normalize(requirement.name)
            names += [name, *filter(None, [_STANDS_FOR.get(name)])]
    return names


def build_file(folder: Path) -> str:
    """Returns a BUILD file with a py_library for each distribution."""
    owned = owned_paths(folder)
    parts = [_HEADER.format(interpreter=sys.executable)]
    for name, needed in sorted(closure(folder).items()):
        data = sorted(f"{folder.name}/{path}" for n in needed for path in owned[n])
        lines = "".join(f'\n        "{path}",' for path in data)
        parts.append(
            _LIBRARY.format(name=name, data=f"[{lines}\n    ]", folder=folder.name)
        )
    # Either package serves the same modules; targets depend on whichever is there.
    parts += [
        _ALIAS.format(name=name, actual=stand_in)
        for name, stand_in in _STANDS_FOR.items()
        if stand_in in owned and name not in owned
    ]
    return "".join(parts)


def main(argv: list[str]) -> None:
    """Installs and writes."""
    lock, folder, target = map(Path, argv[1:])
    install(lock, folder)
    compile_modules(folder)
    drop_build_files(folder)
    target.write_text(build_file(folder))


if __name__ == "__main__":
    main(sys.argv)
