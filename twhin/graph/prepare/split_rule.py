# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Which training edges are held out: by a hash of the edge, or by time."""

import math
from collections.abc import Mapping

from twhin.config.settings import Holdout
from twhin.errors import DataError
from twhin.graph.manifest import SPLITS
from twhin.graph.prepare.engine import Engine
from twhin.graph.prepare.kept_rows import hex_bound
from twhin.graph.prepare.relations import RELATIONS_VIEW
from twhin.graph.prepare.sql import union_all

_NUM_BUCKETS = 4096


def split_edges(
    engine: Engine, holdout: Holdout, training: Mapping[int, str]
) -> list[tuple[int, str, str]]:
    """Divides the edges of the training sources.

    By hash: an edge is a validation edge if u < valid_fraction, a test edge if
    u < valid_fraction + test_fraction, where u in [0, 1) are the bits of the md5 of
    relation name, lhs id and rhs id. The same edge always falls the same way,
    whatever else the data holds.

    By time: the latest edges are test edges, at least `test_fraction` of those
    that may be held out; those before them are validation edges. Edges of one
    time stay together.

    Args:
      engine: The engine.
      holdout: The configuration.
      training: For each pair of entity types a query with the columns of edge
        views, and `time` for a split by time.

    Returns:
      Triples of the pair, the split's name, and a query for the edges.
    """
    if not holdout.valid_fraction and not holdout.test_fraction:
        return [(pair, "train", query) for pair, query in training.items()]
    if holdout.by_time:
        valid_start, test_start = _find_time_bounds(engine, holdout, training)
        rule = _rule(f"e.time >= {test_start}", f"e.time >= {valid_start}", (2, 1))
    else:
        test_share = holdout.valid_fraction + holdout.test_fraction
        edge = (
            "md5(r.name || chr(31) || CAST(e.lhs AS STRING) || chr(31)"
            " || CAST(e.rhs AS STRING))"
        )
        valid_bound = f"{edge} < '{hex_bound(holdout.valid_fraction)}'"
        test_bound = f"{edge} < '{hex_bound(test_share)}'"
        rule = _rule(valid_bound, test_bound, (1, 2))
    parts = []
    for pair, query in training.items():
        view = f"split_{pair}"
        engine.materialize(
            view,
            f"SELECT e.*, {rule} AS split FROM ({query}) AS e"
            f" JOIN {RELATIONS_VIEW} AS r ON e.rel = r.rel",
        )
        for number, split in enumerate(SPLITS):
            parts.append((pair, split, f"SELECT * FROM {view} WHERE split = {number}"))
    return parts


def _rule(first: str, second: str, splits: tuple[int, int]) -> str:
    """Returns SQL for the number of an edge's split; relations may be excluded."""
    return (
        f"CASE WHEN NOT r.held_out THEN 0 WHEN {first} THEN {splits[0]}"
        f" WHEN {second} THEN {splits[1]} ELSE 0 END"
    )


def _find_time_bounds(
    engine: Engine, holdout: Holdout, training: Mapping[int, str]
) -> tuple[int, int]:
    """Returns the first times of validation and of test edges."""
    times = union_all(
        [
            f"SELECT e.time AS time FROM ({query}) AS e JOIN {RELATIONS_VIEW} AS r"
            " ON e.rel = r.rel WHERE r.held_out"
            for query in training.values()
        ]
    )
    ((count, first, last),) = engine.rows(
        f"SELECT count(*), min(time), max(time) FROM ({times}) AS times"
    )
    if count == 0:
        raise DataError(
            "data.raw.holdout: no training edge has a relation of"
            f" {list(holdout.relations)}; allowed: relations with edges"
        )
    test_start = last + 1
    if holdout.test_fraction:
        num_test = _share_of(holdout.test_fraction, count)
        test_start = _time_of_latest(engine, times, num_test, first, last)
    num_held_out = _share_of(holdout.test_fraction + holdout.valid_fraction, count)
    valid_start = test_start
    if holdout.valid_fraction:
        valid_start = _time_of_latest(engine, times, num_held_out, first, last)
    if valid_start == first:
        raise DataError(
            f"data.raw.holdout: the latest {num_held_out} of {count} edges begin at"
            f" the earliest time {first}; allowed: fractions that leave training edges"
        )
    return valid_start, test_start


def _share_of(fraction: float, count: int) -> int:
    """Returns the product rounded up, but for the error of adding fractions."""
    return math.ceil(fraction * count - 1e-6)


def _time_of_latest(
    engine: Engine, times: str, num_latest: int, first: int, last: int
) -> int:
    """Returns the latest time t with at least `num_latest` edges at t or later.

    The range of times is cut into buckets, and the bucket that holds t into
    buckets again: a few scans, whatever the number of edges or times.
    """
    num_later = 0
    while first < last:
        width = (last - first) // _NUM_BUCKETS + 1
        bucket = f"time - (time - {first}) % {width}"
        rows = engine.rows(
            f"SELECT {bucket} AS bucket, count(*) FROM ({times}) AS times"
            f" WHERE time >= {first} AND time <= {last} GROUP BY 1 ORDER BY 1 DESC"
        )
        end = last
        for start, count in rows:
            first, last = start, min(end, start + width - 1)
            if num_later + count >= num_latest:
                break
            num_later += count
    return first
