# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of sizes."""

import pytest

from twhin.errors import ConfigError
from twhin.graph.prepare import memory_limit


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("1000", 1000),
        ("6GB", 6 * 2**30),
        ("6 GiB", 6 * 2**30),
        ("1.5m", 3 * 2**19),
        ("2T", 2**41),
    ],
)
def test_units_are_powers_of_1024(text: str, size_bytes: int) -> None:
    assert memory_limit.parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "6 GBs", "six"])
def test_other_texts_are_errors(text: str) -> None:
    with pytest.raises(ConfigError, match=f"size {text!r}: not a size"):
        memory_limit.parse_size(text)


def test_the_default_is_part_of_the_machine() -> None:
    assert 2**26 < memory_limit.default_memory_limit() < 2**46
