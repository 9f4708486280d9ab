# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The frame of every command, seen from outside: output, exit code, folder."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from twhin.testing.command_process import (
    TIMEOUT_SECS,
    process_environment,
    run_python,
)

# build: needs //third_party/python:absl-py
# build: needs //twhin/bin:command
# build: needs //twhin:errors

_COMMAND = '''
"""Does one thing.

And how.
"""
import logging, os, sys, time
from absl import flags
from twhin.bin import command
from twhin.errors import ConfigError, DataError

SIZE = flags.DEFINE_integer("size", 3, "The size.", lower_bound=1)

def main(arguments):
    {body}

if __name__ == "__main__":
    command.run(main, arguments={arguments})
'''


def _command(folder: Path, body: str, arguments: str = "()") -> str:
    path = folder / "thing.py"
    path.write_text(_COMMAND.format(body=body, arguments=arguments))
    return str(path)


def test_success_ends_with_0_and_only_its_own_output(tmp_path: Path) -> None:
    path = _command(tmp_path, "print(SIZE.value)")

    done = run_python(path, "--size=7", folder=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")


def test_error_of_the_user_is_its_lines_without_a_trace(tmp_path: Path) -> None:
    path = _command(tmp_path, "raise ConfigError('a: b; c\\nd: e; f')")

    done = run_python(path, folder=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", "a: b; c\nd: e; f\n")


def test_bug_shows_its_trace(tmp_path: Path) -> None:
    path = _command(tmp_path, "raise KeyError('a')")

    done = run_python(path, folder=tmp_path)

    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_unknown_flag_is_named_with_the_closest_one(tmp_path: Path) -> None:
    path = _command(tmp_path, "pass")

    done = run_python(path, "--sise=7", folder=tmp_path)

    assert done.returncode == 2
    assert done.stderr == "Unknown command line flag 'sise'. Did you mean: size ?\n"


def test_bad_value_of_a_flag_is_refused(tmp_path: Path) -> None:
    path = _command(tmp_path, "pass")

    done = run_python(path, "--size=0", folder=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith("flag --size=0: ")
    assert "Traceback" not in done.stderr


def test_arguments_are_counted(tmp_path: Path) -> None:
    path = _command(tmp_path, "print(arguments)", arguments='["DIR"]')

    missing = run_python(path, folder=tmp_path)
    given = run_python(path, "run", "--size=2", folder=tmp_path)

    assert missing.returncode == 2
    assert missing.stderr == (
        "thing: the arguments are []; allowed: thing [--FLAG=VALUE ...] DIR\n"
    )
    assert (given.returncode, given.stdout) == (0, "['run']\n")


@pytest.mark.parametrize("flag", ["--help", "-h", "-help"])
def test_help_says_what_the_command_does_and_all_its_flags(
    tmp_path: Path, flag: str
) -> None:
    path = _command(tmp_path, "raise SystemExit(5)", arguments='["DIR"]')

    done = run_python(path, flag, "--size=zero", folder=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == textwrap.dedent(
        """\
        Does one thing.

        And how.

        Usage: thing [--FLAG=VALUE ...] DIR

        The flags of thing.

          --size: The size.
            (default: '3')
            (a positive integer)

        The frame of every command: flags, working directory, logs and errors.

          --log_level: <debug|info|warning|error>: The least severe log lines that are
            written to stderr.
            (default: 'info')
        """
    )


def test_log_lines_go_to_stderr_from_the_level_on(tmp_path: Path) -> None:
    body = "logging.getLogger('twhin.a').info('x=%d', 1); logging.warning('y')"
    path = _command(tmp_path, body)

    usual = run_python(path, folder=tmp_path)
    quiet = run_python(path, "--log_level=warning", folder=tmp_path)

    assert usual.stdout == ""
    assert " INFO twhin.a: x=1\n" in usual.stderr
    assert quiet.stderr.endswith(" WARNING root: y\n")
    assert quiet.stderr.count("\n") == 1


def test_relative_paths_start_where_bazel_was_started(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = _command(tmp_path, "print(os.getcwd())")

    below_bazel = run_python(
        path,
        folder=tmp_path,
        environment={"BUILD_WORKING_DIRECTORY": str(elsewhere)},
    )
    alone = run_python(path, folder=tmp_path)

    assert below_bazel.stdout == f"{elsewhere}\n"
    assert alone.stdout == f"{tmp_path}\n"


def test_interrupt_ends_quietly_with_130(tmp_path: Path) -> None:
    path = _command(tmp_path, "print('ready', flush=True); time.sleep(60)")

    with subprocess.Popen(
        [sys.executable, path],
        env=process_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT_SECS)

    assert (process.returncode, errors) == (130, "")


def test_output_that_nobody_reads_ends_quietly(tmp_path: Path) -> None:
    path = _command(tmp_path, "print('x\\n' * 100000)")

    with subprocess.Popen(
        [sys.executable, path],
        env=process_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        process.wait(TIMEOUT_SECS)

    assert (process.returncode, errors) == (141, "")
