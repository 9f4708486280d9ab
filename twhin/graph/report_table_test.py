# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of tables."""

import pytest

from twhin.graph.report_table import ReportTable, format_bytes


def test_numbers_are_right_aligned_and_texts_left() -> None:
    table = ReportTable(
        title="edges",
        header=("relation", "edges", "share"),
        rows=(("likes", 12345, 0.5), ("x", 7, None)),
    )

    assert table.render() == (
        "edges\n"
        "  relation   edges  share\n"
        "  likes     12,345   0.50\n"
        "  x              7      -"
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**30, "1.0 GiB")],
)
def test_bytes_have_a_unit(count: int, text: str) -> None:
    assert format_bytes(count) == text
