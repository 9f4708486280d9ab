# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The form of faults."""

import pytest

from twhin.config.faults import Faults, names, quote
from twhin.config.settings import Kernel
from twhin.errors import ConfigError


def test_values_are_quoted_as_yaml_has_them_and_cut() -> None:
    assert quote(True) == "true"
    assert quote(None) == "null"
    assert quote(Kernel.DENSE) == "'dense'"
    assert quote("a\nb") == "'a\\nb'"
    assert quote("x" * 100) == "'" + "x" * 76 + "..."


def test_names_are_sorted_and_each_is_there_once() -> None:
    assert names(["b", "a", "b"]) == "'a', 'b'"
    assert names([]) == "none"


@pytest.mark.parametrize(
    ("value", "interval", "is_in"),
    [
        (0.0, "[0, 1)", True),
        (1.0, "[0, 1)", False),
        (0.0, "(0, 1]", False),
        (1.0, "(0, 1]", True),
        (-0.5, "[-1, 1)", True),
        (1e300, "(0, inf)", True),
        (float("inf"), "(0, inf)", False),
        (float("nan"), "(0, inf)", False),
    ],
)
def test_interval_includes_the_bounds_with_square_brackets(
    value: float, interval: str, is_in: bool
) -> None:
    faults = Faults()

    faults.check_range("a.b", value, interval)

    if is_in:
        faults.raise_if_any()
    else:
        with pytest.raises(ConfigError, match=r"^a\.b: .* is out of range; allowed: "):
            faults.raise_if_any()


def test_each_fault_is_a_line() -> None:
    faults = Faults()
    faults.add("a", "is wrong", "allowed: b")
    faults.add_unknown("c", "field", "naem", ["name", "lhs"])
    faults.check_at_least("d", 0, 1)

    with pytest.raises(ConfigError) as raised:
        faults.raise_if_any()

    assert str(raised.value) == (
        "a: is wrong; allowed: b\n"
        "c: unknown field 'naem'; known: 'lhs', 'name'; did you mean 'name'?\n"
        "d: 0 is too small; allowed: at least 1"
    )
