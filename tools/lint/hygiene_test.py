# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks what no linter does: headers, sizes, forbidden words, characters."""

import re

from tools.lint import workspace

_HEADER = "Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0."
_MAX_LINES = 450
_BINARY_SUFFIXES = {".png"}
# Built from parts, so that this file does not name what it forbids.
_FORBIDDEN = re.compile(
    "|".join(
        [
            "DO NOT " + "SUBMIT",
            r"files\.python" + "hosted",
            r"py" + r"pi\.org",
            r"deb\.deb" + r"ian\.org",
            r"registry\.npm" + r"js",
            r"\.\./sha" + "red",
            "/work/" + "(main|shared|venv|scratch)",
        ]
    )
)


def test_sources_begin_with_the_licence() -> None:
    faults = [
        str(path)
        for path in workspace.files()
        if path.suffix in (".py", ".proto")
        and "_pb2" not in path.stem
        and _HEADER not in path.read_text().split("\n", 1)[0]
    ]
    assert not faults, faults


def test_python_files_are_small() -> None:
    sizes = {path: path.read_text().count("\n") for path in workspace.python_files()}
    faults = [f"{path}: {n} lines" for path, n in sizes.items() if n > _MAX_LINES]
    assert not faults, faults


def test_text_is_ascii_and_free_of_forbidden_words() -> None:
    faults = []
    for path in workspace.files():
        if path.suffix in _BINARY_SUFFIXES:
            continue
        text = path.read_text()
        if not text.isascii():
            line = next(n for n, t in enumerate(text.split("\n"), 1) if not t.isascii())
            faults.append(f"{path}:{line}: not ASCII")
        if match := _FORBIDDEN.search(text):
            faults.append(f"{path}: has {match[0]!r}")
        if text and not text.endswith("\n"):
            faults.append(f"{path}: no line end at the end")
        if re.search(r"[ \t]\n", text):
            faults.append(f"{path}: space at the end of a line")
    assert not faults, "\n".join(faults)
