# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Prints what is in a folder that a command of this project wrote, as tables."""

from collections.abc import Callable, Sequence
from pathlib import Path

from twhin.bin import command
from twhin.errors import DataError
from twhin.graph import graph_report
from twhin.graph.report_table import ReportTable

# A kind of folder, the file that tells it, and what describes it.
_KINDS: tuple[tuple[str, str, Callable[[str], tuple[ReportTable, ...]]], ...] = (
    ("prepared graph", "edges", graph_report.describe_graph),
)


def main(arguments: Sequence[str]) -> None:
    """Describes one folder."""
    folder = Path(arguments[0])
    for _, marker, describe in _KINDS:
        if (folder / marker).exists():
            print("\n\n".join(table.render() for table in describe(str(folder))))
            return
    kinds = ", ".join(f"{kind} (has {marker!r})" for kind, marker, _ in _KINDS)
    raise DataError(f"{folder}: nothing that is known; allowed: {kinds}")


if __name__ == "__main__":
    command.run(main, arguments=["DIR"])
