# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Faults of a configuration, collected so that all are reported at once."""

import json
import math
from collections.abc import Iterable

from twhin import errors

_MAX_QUOTED = 80


def quote(value: object) -> str:
    """Returns a user's value as YAML may have it, cut to a readable length."""
    if value is None or isinstance(value, bool):
        text = json.dumps(value)
    else:
        text = repr(str(value) if isinstance(value, str) else value)
    return text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 3] + "..."


def names(known: Iterable[str]) -> str:
    """Returns the quoted names, each once, sorted and joined by commas."""
    return ", ".join(repr(str(name)) for name in sorted(set(known))) or "none"


class Faults:
    """A list of faults, one line each: "WHERE: WHAT; ALLOWED"."""

    def __init__(self) -> None:
        """Creates an empty list."""
        self._lines: list[str] = []

    def add(self, where: str, what: str, allowed: str) -> None:
        """Adds the fault of the field whose path is `where`."""
        self._lines.append(f"{where}: {what}; {allowed}")

    def add_unknown(
        self, where: str, kind: str, value: object, known: Iterable[str]
    ) -> None:
        """Adds a name that is none of the `known` ones, with the closest of them."""
        known = tuple(known)
        hint = errors.did_you_mean(value, known) if isinstance(value, str) else ""
        self.add(
            where, f"unknown {kind} {quote(value)}", f"known: {names(known)}{hint}"
        )

    def check_at_least(self, where: str, value: int, minimum: int) -> None:
        """Adds a fault unless `value` is at least `minimum`."""
        if value < minimum:
            self.add(where, f"{value} is too small", f"allowed: at least {minimum}")

    def check_range(self, where: str, value: float, interval: str) -> None:
        """Adds a fault unless `value` is finite and in an interval like "[0, 1)"."""
        low, high = (float(bound) for bound in interval[1:-1].split(","))
        above = value >= low if interval[0] == "[" else value > low
        below = value <= high if interval[-1] == "]" else value < high
        if not (math.isfinite(value) and above and below):
            self.add(where, f"{value!r} is out of range", f"allowed: {interval}")

    def raise_if_any(self) -> None:
        """Reports the faults added so far.

        Raises:
          ConfigError: There is at least one; the message has a line for each.
        """
        if self._lines:
            raise errors.ConfigError("\n".join(self._lines))
