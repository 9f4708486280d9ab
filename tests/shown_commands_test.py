# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of running what pages show."""

from pathlib import Path

import pytest

from tests import documents
from tests.shown_commands import check_page, fits


@pytest.mark.parametrize(
    ("kind", "shown", "is_fitting"),
    [
        ("text", "a 1\nb 2\n", True),
        ("text", "a 1\nb 3\n", False),
        ("text", "...\nb 2\n", True),
        ("text", "...\na 1\n", False),
        ("text numbers-vary", "a 7\nb 3.5\n", True),
        ("text numbers-vary", "a 7\nc 3.5\n", False),
    ],
)
def test_outputs_are_compared(kind: str, shown: str, is_fitting: bool) -> None:
    assert fits(documents.Block(kind, shown), "a 1\nb 2\n") is is_fitting


def test_blocks_are_run_in_order_unless_marked(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\necho 7 > a\n```\n"
        "```sh no-run\nfalse\n```\n"
        "```python\nprint(open('a').read(), end='')\n```\n"
        "```text\n7\n```\n"
    )

    assert check_page(page, tmp_path) == (2, 1)


@pytest.mark.parametrize("block", ["sh\nfalse", "sh\necho 1\n```\n```text\n2"])
def test_failures_and_other_outputs_are_found(tmp_path: Path, block: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```{block}\n```\n")

    with pytest.raises(AssertionError):
        check_page(page, tmp_path)
