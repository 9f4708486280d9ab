# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tables for terminals."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A table with a title; cells are texts or numbers.

    Attributes:
      title: The line above it.
      header: The names of the columns.
      rows: The cells; numbers are right-aligned, integers with commas.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]

    def render(self) -> str:
        """Returns the table as lines of equal columns."""
        texts = [self.header, *(tuple(map(_text, row)) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        is_number = [
            bool(self.rows)
            and all(isinstance(row[i], int | float | None) for row in self.rows)
            for i in range(len(self.header))
        ]
        lines = [_line(row, widths, is_number) for row in texts]
        return "\n".join([self.title, *(f"  {line}".rstrip() for line in lines)])


def format_bytes(count: float) -> str:
    """Returns a number of bytes with three digits: "12.3 MiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _text(cell: str | int | float | None) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.2f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _line(cells: Sequence[str], widths: list[int], is_number: list[bool]) -> str:
    return "  ".join(
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, is_number, strict=True)
    )
