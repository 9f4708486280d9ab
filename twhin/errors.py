# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The errors that a user can cause; everything else is a bug.

A message is one line: `<where>: <what is wrong, with the value>; <what is
allowed>`, with "did you mean" where a name is close to a known one.
"""

import difflib
from collections.abc import Iterable


class TwhinError(Exception):
    """Base of all errors that are reported without a stack trace."""


class ConfigError(TwhinError):
    """A configuration that cannot be used; one line for each fault."""


class DataError(TwhinError):
    """Edges or a prepared graph that cannot be used."""


class CheckpointError(TwhinError):
    """A checkpoint that is missing, damaged or made for another model."""


class TrainingError(TwhinError):
    """Training that cannot go on, as with a loss that is no number."""


class BundleError(TwhinError):
    """A bundle that is missing, damaged or incomplete."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns "; did you mean 'x'?" for the known name closest to `name`, or ""."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
