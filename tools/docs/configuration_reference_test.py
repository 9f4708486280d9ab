# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks docs/configuration.md: fresh, linked, and true in its examples."""

import re
import shlex
from pathlib import Path

import pytest

from tools.docs import configuration_reference
from tools.docs.proto_comments import FieldComments, MessageComments, ProtoComments
from twhin.config.resolved_config import load_config
from twhin.errors import ConfigError

_INTRO = configuration_reference.INTRO.read_text()


@pytest.fixture(name="example")
def _example(tmp_path: Path) -> Path:
    (text,) = re.findall(r"```yaml\n(.*?)```", _INTRO, re.DOTALL)
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    return path


def test_reference_is_what_the_schema_says() -> None:
    assert configuration_reference.TARGET.read_text() == (
        configuration_reference.new_text()
    ), "stale; run: python tools/docs/configuration_reference.py"


def test_headings_are_told_apart_and_links_lead_to_them() -> None:
    text = configuration_reference.new_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = [
        re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings
    ]

    links = set(re.findall(r"\]\(#([^)]*)\)", text))

    assert len(set(anchors)) == len(anchors)
    assert links <= set(anchors)
    assert len(links) > 30


def test_cells_of_a_row_are_as_many_as_the_columns() -> None:
    rows = [
        line
        for line in configuration_reference.new_text().splitlines()
        if line.startswith("| ")
    ]

    assert len(rows) > 100
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}


def test_example_is_complete_and_of_at_most_20_lines(example: Path) -> None:
    assert len(example.read_text().splitlines()) <= 20
    assert load_config(example).settings.data.raw is not None


def test_every_override_that_is_shown_can_be_given(example: Path) -> None:
    lines = re.findall(r"^    (--override=.*)$", _INTRO, re.MULTILINE)
    flags = [shlex.split(line, comments=True) for line in lines]

    for (flag,) in flags:
        load_config(example, [flag.removeprefix("--override=")])

    assert len(flags) == 6


def test_faults_that_are_shown_are_those_that_the_command_prints(
    example: Path,
) -> None:
    match = re.search(r"\$ (.*)\n((?:      .*\n)+)", _INTRO)
    assert match is not None
    overrides = re.findall(r"--override=(\S+)", match[1])

    with pytest.raises(ConfigError) as raised:
        load_config(example, overrides)

    shown = [line.strip() for line in match[2].splitlines()]
    assert str(raised.value).splitlines() == shown


def test_range_is_said_once() -> None:
    field = FieldComments(
        name="rate",
        type_name="double",
        is_repeated=False,
        oneof=None,
        comment="Optional; default 0.5. A share, in (0, 1]. Needs a | b * c.",
    )
    comments = ProtoComments(
        messages={"TrainConfig": MessageComments(name="", comment="", fields=(field,))},
        enums={},
    )

    text = configuration_reference.render(comments, "# Intro\n")

    assert text.startswith("# Intro\n\n## The whole file\n\n| Field |")
    assert (
        "\n| `rate` | number in (0, 1] | 0.5 | A share. Needs a \\| b \\* c. |\n"
        in text
    )
