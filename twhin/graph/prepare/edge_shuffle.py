# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The order of edges on disk: by a hash of the edge, cut into partitions.

The hash h of an edge is a number of 32 bits, made of its indices alone. The edges
of partition p of P are those with p = floor(h P / 2^32); inside a partition they
are sorted by h, then by their columns, so that equal inputs give equal files.
"""

MAX_PARTITIONS = 128
PARTITION_EDGES = 1 << 22
"""A partition is sorted in memory: 4 M edges take about 200 MB."""

MAX_ROW_GROUP_EDGES = 1 << 18
MIN_ROW_GROUP_EDGES = 1 << 12
ROW_GROUPS_PER_PARTITION = 16
"""Row groups are what ranks divide among them: small graphs have some, too."""

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0x21F0AAAD, 0x735A2D97)


def num_partitions(num_edges: int) -> int:
    """Returns P for so many edges: at least 1, at most `MAX_PARTITIONS`."""
    return min(MAX_PARTITIONS, max(1, -(-num_edges // PARTITION_EDGES)))


def row_group_edges(num_edges: int) -> int:
    """Returns the rows of one row group for so many edges in all partitions."""
    share = -(-num_edges // (num_partitions(num_edges) * ROW_GROUPS_PER_PARTITION))
    return min(MAX_ROW_GROUP_EDGES, max(MIN_ROW_GROUP_EDGES, share))


def hashed(sql: str, columns: tuple[str, ...]) -> str:
    """Returns a query with the columns of `sql` and the hash `h`, 0..2^32 - 1.

    h = mix(mix(mix(lhs) + rhs) + rel) in arithmetic modulo 2^32, where mix is a
    xor-shift-multiply finalizer. Every product of a 32-bit number and a multiplier
    below 2^31 fits a signed 64-bit number, so any SQL engine computes it alike.
    """
    query = _step(sql, columns, f"lhs & {_MASK}")
    query = _mixed(query, columns)
    query = _step(query, columns, f"(h + rhs) & {_MASK}")
    query = _mixed(query, columns)
    query = _step(query, columns, f"(h + rel) & {_MASK}")
    return _mixed(query, columns)


def partitioned(sql: str, columns: tuple[str, ...], partitions: int) -> str:
    """Returns a query with the columns of `sql`, `h` and the partition `p`."""
    kept = ", ".join(columns)
    p = f"CAST((h * {partitions}) >> 32 AS INT) AS p"
    return f"SELECT {kept}, h, {p} FROM ({hashed(sql, columns)}) AS hashed"


def order_by(columns: tuple[str, ...]) -> str:
    """Returns the sort expressions of the rows inside a partition."""
    return ", ".join(("h", *columns))


def _mixed(query: str, columns: tuple[str, ...]) -> str:
    for shift, multiplier in zip((16, 15), _MULTIPLIERS, strict=True):
        query = _step(query, columns, _xor_shift(shift))
        query = _step(query, columns, f"(h * {multiplier}) & {_MASK}")
    return _step(query, columns, _xor_shift(15))


def _xor_shift(shift: int) -> str:
    """Returns h xor (h >> shift), without xor, whose name differs by engine."""
    return f"(h | (h >> {shift})) - (h & (h >> {shift}))"


def _step(query: str, columns: tuple[str, ...], expression: str) -> str:
    kept = ", ".join(columns)
    return f"SELECT {kept}, {expression} AS h FROM ({query}) AS edges"
