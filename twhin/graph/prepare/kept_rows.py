# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Which rows of a source are read: its filter and its sampling rate.

A row is sampled if u < sampling_rate, where u in [0, 1) are the bits of a md5 of
relation name, lhs id and rhs id: the same edges in every preparation, and others
than those that a holdout of the same share would take.
"""

from collections.abc import Callable

from twhin.config.settings import EdgeSource
from twhin.graph.prepare.sql import constant

_SALT = "sampling"


def kept_expression(settings: EdgeSource, quote: Callable[[str], str]) -> str:
    """Returns SQL over the columns of the files: whether a row is read.

    Args:
      settings: The source.
      quote: Returns the name of a column as the engine writes it.
    """
    conditions = []
    if settings.filter is not None:
        conditions.append(f"COALESCE(({settings.filter}), FALSE)")
    if settings.sampling_rate < 1:
        name = constant(settings.relation or "")
        if settings.rel is not None:
            name = f"CAST({quote(settings.rel)} AS STRING)"
        lhs, rhs = (
            f"CAST({quote(column)} AS STRING)"
            for column in (settings.lhs, settings.rhs)
        )
        edge = f"{constant(_SALT)} || {name} || chr(31) || {lhs} || chr(31) || {rhs}"
        # An edge with a null has no hash; it is kept, and reported as wrong.
        sampled = f"md5({edge}) < '{hex_bound(settings.sampling_rate)}'"
        conditions.append(f"COALESCE({sampled}, TRUE)")
    return " AND ".join(conditions) or "TRUE"


def hex_bound(share: float) -> str:
    """Returns the hex text below which a share in [0, 1) of all md5 texts lies."""
    return f"{int(share * 2**64):016x}"
