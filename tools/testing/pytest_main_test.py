# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that tests see what Bazel asks of them, with pytest_main really run."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

# build: needs //third_party/python:pytest

_MAIN = Path(__file__).with_name("pytest_main.py")
_SUITE = "\n".join(f"def test_{name}(): pass" for name in "abcde")


def _run(folder: Path, suite: str, **environment: str) -> tuple[int, list[str]]:
    """Runs a suite; returns the exit code and the names in the XML report."""
    file = folder / "suite_test.py"
    file.write_text(suite)
    report = folder / "report.xml"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TEST")}
    result = subprocess.run(
        [sys.executable, str(_MAIN), str(file)],
        env={
            **kept,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "XML_OUTPUT_FILE": str(report),
            **environment,
        },
        check=False,
        cwd=folder,
    )
    cases = ElementTree.parse(report).iter("testcase")
    return result.returncode, [case.attrib["name"] for case in cases]


def test_every_test_runs_and_is_reported(tmp_path: Path) -> None:
    code, names = _run(tmp_path, _SUITE)

    assert code == 0
    assert names == ["test_a", "test_b", "test_c", "test_d", "test_e"]


def test_filter_chooses_tests(tmp_path: Path) -> None:
    code, names = _run(tmp_path, _SUITE, TESTBRIDGE_TEST_ONLY="test_c")

    assert (code, names) == (0, ["test_c"])


def test_shards_divide_the_tests(tmp_path: Path) -> None:
    seen = []
    for index in range(2):
        status = tmp_path / f"status{index}"
        code, names = _run(
            tmp_path,
            _SUITE,
            TEST_TOTAL_SHARDS="2",
            TEST_SHARD_INDEX=str(index),
            TEST_SHARD_STATUS_FILE=str(status),
        )
        assert code == 0
        assert status.exists()
        seen.append(names)

    assert seen == [["test_a", "test_c", "test_e"], ["test_b", "test_d"]]


@pytest.mark.parametrize("suite", ["def test_a(): assert False", "x = 1"])
def test_failure_and_absence_of_tests_fail(tmp_path: Path, suite: str) -> None:
    code, _ = _run(tmp_path, suite)

    assert code != 0


def test_assertions_of_imported_modules_are_not_rewritten(tmp_path: Path) -> None:
    # pytest takes seconds to rewrite those of torch.
    (tmp_path / "imported.py").write_text("assert True")
    suite = (
        "import sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import imported\n"
        "def test_a(): assert '@pytest_ar' in globals()\n"
        "def test_b(): assert '@pytest_ar' not in vars(imported)\n"
    )

    code, names = _run(tmp_path, suite)

    assert (code, names) == (0, ["test_a", "test_b"])
