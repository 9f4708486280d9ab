# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of serve, lookup and neighbors, as a user runs them."""

# build: needs //twhin/bin:lookup
# build: needs //twhin/bin:neighbors

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from twhin.bin import serve
from twhin.errors import ConfigError
from twhin.testing.command_process import process_environment, run_python
from twhin.testing.served_bundle import user_id, write_bundle


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture(name="address")
def _address(root: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "twhin.bin.serve", f"--bundle={root}", "--port=0"],
        env=process_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    match = re.fullmatch(
        r"serving on (\S+) port=(\d+) worker_ports=[\d,]+ metrics=http://\S+\n", line
    )
    assert match is not None, line
    yield f"{match[1]}:{match[2]}"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@pytest.mark.parametrize("remote", [False, True])
def test_lookup_and_neighbors_print_the_same_of_both_sources(
    root: Path, address: str, remote: bool, tmp_path: Path
) -> None:
    source = address if remote else str(root)
    ids = [str(user_id(2)), "5"]

    looked_up = run_python(
        "-m", "twhin.bin.lookup", source, "user", *ids, folder=tmp_path
    )
    near = run_python(
        "-m",
        "twhin.bin.neighbors",
        source,
        "user",
        *ids,
        "--relation=likes",
        "--k=2",
        folder=tmp_path,
    )

    assert looked_up.stdout == "30\t2 1 1 0\n5\tnot found\n", looked_up.stderr
    assert near.stdout == "30\tt4\t13\n30\tt3\t10\n5\tnone found\n", near.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["usr", "1"],
            "NOT_FOUND: unknown entity type 'usr'; known: ['tweet', 'user']",
        ),
        (["user", "a"], "ID: invalid literal for int() with base 10: 'a'; allowed: "),
        (["user"], "lookup: the arguments are "),
    ],
)
def test_errors_are_one_line(
    root: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = run_python("-m", "twhin.bin.lookup", str(root), *arguments, folder=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_no_bundle_is_one_line(tmp_path: Path) -> None:
    done = run_python(
        "-m", "twhin.bin.serve", "--bundle=absent", "--port=0", folder=tmp_path
    )

    assert done.returncode == 2
    assert "absent: cannot be served; see the lines above" in done.stderr


@pytest.mark.parametrize(
    ("text", "shards"), [(None, None), ("0-3/8", (0, 4, 8)), ("2-2/3", (2, 3, 3))]
)
def test_shards_are_a_range(text: str, shards: tuple[int, int, int] | None) -> None:
    assert serve.parse_shards(text) == shards


@pytest.mark.parametrize("text", ["", "0/8", "0-8/8", "3-2/8", "a-b/c", "0-3"])
def test_other_shards_are_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--shards: is .*FIRST-LAST/TOTAL"):
        serve.parse_shards(text)
