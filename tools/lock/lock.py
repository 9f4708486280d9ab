# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes a lock: every distribution of a requirements file, with its hash.

    python3.11 tools/lock/lock.py cpu     writes third_party/python/requirements-cpu.txt
    python3.11 tools/lock/lock.py gpu
    python3.11 tools/lock/lock.py spark

pip resolves for this machine (Linux, x86-64, Python 3.11), so the lock names
one file for each distribution. Lines that begin with --no-deps are resolved
apart and add no dependencies.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[2] / "third_party" / "python"
_SHARED = {"cpu": ["requirements.in"], "gpu": ["requirements.in"], "spark": []}
_NO_DEPS = "--no-deps "
# PySpark is published as source alone: jars, and Python that needs no compiler.
_WHEELS, _SOURCES = (".whl",), (".whl", ".tar.gz")


def read_requirements(paths: list[Path]) -> tuple[list[str], list[str]]:
    """Returns the requirements of files: those to resolve, and those without."""
    resolved, alone = [], []
    for path in paths:
        for line in path.read_text().splitlines():
            requirement = line.split("#")[0].strip()
            if requirement.startswith(_NO_DEPS):
                alone.append(requirement.removeprefix(_NO_DEPS))
            elif requirement:
                resolved.append(requirement)
    return resolved, alone


def resolve(
    requirements: list[str], *options: str, endings: tuple[str, ...] = _WHEELS
) -> dict[str, str]:
    """Returns a lock line for each distribution that pip would install.

    Args:
      requirements: As pip has them.
      *options: Of pip.
      endings: Of the files that may be locked.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet"]
        command += ["--ignore-installed", "--report", str(report), *options]
        subprocess.run([*command, *requirements], check=True)
        entries = json.loads(report.read_text())["install"]
    lines = {}
    for entry in entries:
        url = entry["download_info"]["url"]
        if not url.endswith(endings):
            raise SystemExit(f"{url}: not one of {', '.join(endings)}")
        name = entry["metadata"]["name"].lower().replace("_", "-")
        digest = entry["download_info"]["archive_info"]["hashes"]["sha256"]
        version = entry["metadata"]["version"]
        lines[name] = f"{name}=={version} --hash=sha256:{digest}"
    return lines


def main(argv: list[str]) -> None:
    """Writes the lock that the command line names."""
    kind = argv[1]
    sources = [*_SHARED[kind], f"requirements-{kind}.in"]
    resolved, alone = read_requirements([_FOLDER / name for name in sources])
    endings = _SOURCES if kind == "spark" else _WHEELS
    lines = resolve(resolved, endings=endings)
    if alone:
        lines |= resolve(alone, "--no-deps")
    header = [
        f"# Made from {', '.join(sources)} by `python3.11 tools/lock/lock.py {kind}`;",
        "# do not edit.",
    ]
    if kind == "spark":
        header.append("# Has source distributions.")
    target = _FOLDER / f"requirements-{kind}.txt"
    target.write_text("\n".join([*header, *sorted(lines.values())]) + "\n")


if __name__ == "__main__":
    main(sys.argv)
