# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Prints what is in a folder that a command of this project wrote, as tables.

DIR is a prepared graph, a checkpoint, a bundle (all versions, or one), or the
OUTPUT_DIR of a run: then its prepared graph, its newest checkpoint and its bundle.
"""

# A file called inspect.py would hide Python's module for all commands beside it.

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from twhin.bin import bundle_report, command
from twhin.errors import DataError
from twhin.graph import graph_report
from twhin.graph.report_table import ReportTable

Describe = Callable[[str], tuple[ReportTable, ...]]


def _describe_checkpoint(folder: str) -> tuple[ReportTable, ...]:
    # Imports torch, which takes seconds that other folders need not wait for.
    from twhin.bin.checkpoint_report import describe_checkpoint

    return describe_checkpoint(folder)


# A kind of folder, the file or folder in it that tells it, and what describes it.
_KINDS: tuple[tuple[str, str, Describe], ...] = (
    ("prepared graph", "edges", graph_report.describe_graph),
    ("checkpoint", "checkpoint.json", _describe_checkpoint),
    ("bundle", "current", bundle_report.describe_bundle),
    ("version of a bundle", "tables", bundle_report.describe_bundle),
)
# In the folder of a run.
_IN_RUN = ("prepared", "checkpoints/step-*", "bundle")


def main(arguments: Sequence[str]) -> None:
    """Describes one folder, or those in the folder of a run."""
    folder = Path(arguments[0])
    found = [each for each in (folder, *_in_run(folder)) if _kind_of(each)]
    if not found:
        kinds = ", ".join(f"a {kind} (has {marker!r})" for kind, marker, _ in _KINDS)
        raise DataError(
            f"{folder}: nothing that is known; allowed: {kinds}, or the folder of a run"
        )
    for number, each in enumerate(found):
        describe = _kind_of(each)
        assert describe is not None
        texts = [table.render() for table in describe(str(each))]
        print(("\n\n" if number else "") + "\n\n".join(texts))


def _kind_of(folder: Path) -> Describe | None:
    for _, marker, describe in _KINDS:
        if (folder / marker).exists():
            return describe
    return None


def _in_run(folder: Path) -> Iterator[Path]:
    """Yields what a run has written, the newest of each kind."""
    for pattern in _IN_RUN:
        found = folder.glob(pattern)
        yield from sorted(found, key=lambda path: (len(path.name), path.name))[-1:]


if __name__ == "__main__":
    command.run(main, arguments=["DIR"])
