# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""YAML with the plain scalars of YAML 1.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twhin.config import yaml_text
from twhin.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-8", 1e-8),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("+7", 7),
        ("-0.5", -0.5),
        ("1_000_000", 1000000),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("True", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("1:30", "1:30"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("2024-05-01", "2024-05-01"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e", "1e"),
        ("'12'", "12"),
        ('"*"', "*"),
        ("12 monkeys", "12 monkeys"),
    ],
)
def test_plain_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    parsed = yaml_text.parse(text, "text")

    assert parsed == value
    assert type(parsed) is type(value)


def test_merge_key_is_a_plain_key() -> None:
    assert yaml_text.parse("a: &x {b: 1}\nc: {<<: 2}", "text") == {
        "a": {"b": 1},
        "c": {"<<": 2},
    }


def test_alias_stands_for_its_anchor() -> None:
    assert yaml_text.parse("a: &x [1]\nb: *x", "text") == {"a": [1], "b": [1]}


def test_repeated_key_is_refused_at_its_place() -> None:
    with pytest.raises(ConfigError, match=r"^text:3:3: repeated key 'b'; YAML"):
        yaml_text.parse("a:\n  b: 1\n  b: 2\n", "text")


def test_control_character_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^text: .*; YAML is needed$"):
        yaml_text.parse("a: \x00", "text")


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")))
    | st.sampled_from(["1e-8", "no", "~", "null", "1:30", "0x1F", "*", "1.", "- a"])
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(_TREES)
def test_dumped_text_is_parsed_as_the_same_tree(tree: object) -> None:
    text = yaml_text.dump(tree)

    assert yaml_text.parse(text, "text") == tree


def test_dumped_numbers_keep_their_type() -> None:
    text = yaml_text.dump({"a": 1.0, "b": 1, "c": 1e-08, "d": "1"})

    assert text == "a: 1.0\nb: 1\nc: 1.0e-08\nd: '1'\n"
