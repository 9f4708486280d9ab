# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Rules for what training starts from, and for what is kept of it."""

from twhin.config.faults import Faults, quote
from twhin.config.settings import Data, FrozenRows, Graph, NewRows, WarmStart

_SOURCES = "with warm_start.checkpoint or warm_start.bundle"


def check_warm_start(warm_start: WarmStart, data: Data, faults: Faults) -> None:
    """Checks the source, and that its entities can be joined by id."""
    has_source = _has_source(warm_start)
    if warm_start.checkpoint is not None and warm_start.bundle is not None:
        faults.add(
            "warm_start",
            "'bundle', 'checkpoint' are set together",
            "allowed: at most one of 'bundle', 'checkpoint'",
        )
    if warm_start.optimizer_state and warm_start.checkpoint is None:
        faults.add(
            "warm_start.optimizer_state",
            "true without a checkpoint",
            "allowed: with warm_start.checkpoint, as a bundle has no such state",
        )
    _check_new_rows(warm_start, faults)
    if data.encoded is not None and (has_source or warm_start.vectors):
        faults.add(
            "warm_start",
            "no entity ids to join by",
            "allowed: unset, as data.encoded has no vocabulary",
        )


def check_prior(graph: Graph, warm_start: WarmStart, faults: Faults) -> None:
    """Checks that tables which hold on to a prior have one."""
    if _has_source(warm_start):
        return
    for index, entity_type in enumerate(graph.entity_types):
        where = f"graph.entity_types[{index}].table"
        table = entity_type.table
        if table.l2_to_prior > 0:
            faults.add(
                f"{where}.l2_to_prior",
                f"{table.l2_to_prior!r} without a prior",
                f"allowed: 0, or above it {_SOURCES}",
            )
        if table.frozen_rows is not FrozenRows.NONE:
            faults.add(
                f"{where}.frozen_rows",
                f"{quote(table.frozen_rows)} without rows to keep",
                f"allowed: 'none', or the others {_SOURCES}",
            )


def _check_new_rows(warm_start: WarmStart, faults: Faults) -> None:
    new_rows = warm_start.new_rows
    if new_rows is NewRows.VECTORS and not warm_start.vectors:
        faults.add("warm_start.vectors", "missing", "needed by new_rows 'vectors'")
    if new_rows is not NewRows.VECTORS and warm_start.vectors:
        faults.add(
            "warm_start.vectors",
            f"unused by new_rows {quote(new_rows)}",
            "allowed: with new_rows 'vectors'",
        )
    if new_rows is NewRows.NEIGHBORS and not _has_source(warm_start):
        faults.add(
            "warm_start.new_rows",
            "'neighbors' without rows to average",
            f"allowed: 'random', 'vectors', or 'neighbors' {_SOURCES}",
        )
    for index, path in enumerate(warm_start.vectors):
        if not path:
            faults.add(
                f"warm_start.vectors[{index}]", "empty", "allowed: a path or a URL"
            )


def _has_source(warm_start: WarmStart) -> bool:
    return warm_start.checkpoint is not None or warm_start.bundle is not None
