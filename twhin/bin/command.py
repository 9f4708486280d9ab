# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The frame of every command: flags, working directory, logs and errors."""

import logging
import os
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags

from twhin import errors

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_HELP = ("--help", "-h", "-help")
_USAGE_EXIT_CODE = 2
_INTERRUPT_EXIT_CODE = 130
_CLOSED_OUTPUT_EXIT_CODE = 141

LOG_LEVEL = flags.DEFINE_enum(
    "log_level",
    "info",
    ["debug", "info", "warning", "error"],
    "The least severe log lines that are written to stderr.",
)


def run(
    main: Callable[[Sequence[str]], None],
    *,
    arguments: Sequence[str] = (),
    argv: Sequence[str] | None = None,
) -> None:
    """Runs a command and ends the process.

    The process ends with code 0; with code 2, and one line on stderr for each
    fault, after an error of the user; with 130 after an interrupt; with 141 where
    nobody reads its output any more, as below `head`. Under "bazel run" relative
    paths start from the folder in which bazel was started.

    Args:
      main: Does the work; gets the arguments that are not flags.
      arguments: The names of these arguments, for the usage line; all of them
        must be given, the last one once or more where its name ends with "...".
      argv: The command line; None for that of the process.
    """
    try:
        code = _run(main, arguments, list(sys.argv if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:
        if not _is_output_closed():
            raise
        # Python flushes again when it ends; what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _CLOSED_OUTPUT_EXIT_CODE
    sys.exit(code)


def _is_output_closed() -> bool:
    """Returns whether the broken pipe is stdout, and not a socket of the work."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _run(
    main: Callable[[Sequence[str]], None], arguments: Sequence[str], argv: list[str]
) -> int:
    if any(argument in _HELP for argument in argv):
        print(_help(argv[0], arguments))
        return 0
    try:
        _, *given = flags.FLAGS(argv)
        if not _fits(given, arguments):
            raise errors.TwhinError(
                f"{_name(argv[0])}: the arguments are {given}; allowed:"
                f" {_usage(argv[0], arguments)}"
            )
        # The libraries' own lines are for those who debug them.
        logging.basicConfig(level=logging.WARNING, format=_LOG_FORMAT, force=True)
        logging.getLogger("twhin").setLevel(LOG_LEVEL.value.upper())
        if folder := os.environ.get("BUILD_WORKING_DIRECTORY"):
            os.chdir(folder)
        main(given)
    except (errors.TwhinError, flags.Error) as err:
        print(err, file=sys.stderr)
        return _USAGE_EXIT_CODE
    except KeyboardInterrupt:
        return _INTERRUPT_EXIT_CODE
    return 0


def _fits(given: Sequence[str], arguments: Sequence[str]) -> bool:
    if arguments and arguments[-1].endswith("..."):
        return len(given) >= len(arguments)
    return len(given) == len(arguments)


def _usage(program: str, arguments: Sequence[str]) -> str:
    return " ".join([_name(program), "[--FLAG=VALUE ...]", *arguments])


def _name(program: str) -> str:
    return Path(program).name.removesuffix(".py")


def _help(program: str, arguments: Sequence[str]) -> str:
    """Returns the main module's docstring and the flags of our modules."""
    parts = [(sys.modules["__main__"].__doc__ or "").strip()]
    parts.append(f"Usage: {_usage(program, arguments)}")
    for module in sorted(flags.FLAGS.flags_by_module_dict()):
        if module == program:
            title = f"The flags of {_name(program)}."
        elif module.startswith("twhin."):
            title = (sys.modules[module].__doc__ or module).split("\n")[0]
        else:
            continue
        # absl's text begins with a line that has the name of the module.
        text = flags.FLAGS.module_help(module).strip().partition("\n")[2]
        parts.append(f"{title}\n\n{text.rstrip()}")
    return "\n\n".join(part for part in parts if part)
