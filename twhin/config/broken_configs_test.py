# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Broken configurations get the messages that say how to mend them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from twhin.testing.broken_data import BROKEN_DATA
from twhin.testing.broken_graphs import BROKEN_GRAPHS, BROKEN_WARM_STARTS
from twhin.testing.broken_runs import BROKEN_EVALUATIONS, BROKEN_TRAINING
from twhin.testing.broken_yaml import BROKEN_YAML
from twhin.testing.config_case import ConfigCase

_BROKEN = (
    *BROKEN_YAML,
    *BROKEN_GRAPHS,
    *BROKEN_WARM_STARTS,
    *BROKEN_DATA,
    *BROKEN_TRAINING,
    *BROKEN_EVALUATIONS,
)


def test_the_unchanged_configuration_has_no_fault(tmp_path: Path) -> None:
    assert ConfigCase(tmp_path).faults() == []


@pytest.mark.parametrize(
    ("overrides", "message"), _BROKEN, ids=[", ".join(one[0]) for one in _BROKEN]
)
def test_broken_configuration_gets_its_whole_message(
    tmp_path: Path, overrides: Sequence[str], message: str
) -> None:
    assert "\n".join(ConfigCase(tmp_path).faults(*overrides)) == message


def test_every_fault_is_reported_at_once(tmp_path: Path) -> None:
    case = ConfigCase(tmp_path)
    alone = ["training.num_epochs=0", "loss.temperature=0", "export.keep_last=0"]

    together = case.faults(*alone)

    assert sorted(together) == sorted(
        line for one in alone for line in case.faults(one)
    )
    assert len(together) == 3


def test_every_fault_of_form_is_reported_at_once(tmp_path: Path) -> None:
    overrides = ["model.embeding_dim=1", "loss.kind=softmx", "training.seed=no"]

    lines = ConfigCase(tmp_path).faults(*overrides)

    assert [line.split(":")[0] for line in lines] == [
        "model.embeding_dim",
        "loss.kind",
        "training.seed",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory; a YAML file is needed"),
        (b"\xff\xfe", "cannot be read: not UTF-8; a YAML file is needed"),
        (
            b"graph: [",
            "1:9: expected the node content, but found '<stream end>'; YAML is needed",
        ),
        (b"model: {}\nmodel: {}\n", "2:1: repeated key 'model'; YAML is needed"),
        (b"- a\n? [b]\n", "2:1: expected <block end>, but found '?'; YAML is needed"),
        (b"? [b]\n: c\n", "1:3: a key must be text; YAML is needed"),
        (
            b"a: !!python/object:os.system x\n",
            "1:4: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object:os.system'; YAML is needed",
        ),
        (b"a: 1\n---\nb: 2\n", "2:1: but found another document; YAML is needed"),
        (b"[" * 9000, "nested too deeply; a YAML mapping of mappings is needed"),
    ],
)
def test_unreadable_file_is_named_with_the_reason(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    case = ConfigCase(tmp_path)
    case.path.unlink()
    if content is not None:
        case.path.write_bytes(content)

    (line,) = case.faults()

    assert line.startswith(f"{case.path}:")
    assert line.removeprefix(f"{case.path}:").strip() == reason


@pytest.mark.parametrize("content", ["", "null", "just text", "- graph"])
def test_file_without_a_mapping_is_refused(tmp_path: Path, content: str) -> None:
    (line,) = ConfigCase(tmp_path, content).faults()

    assert line.startswith("configuration: wrong type ")
    assert "; allowed: a mapping of the fields 'checkpoint', 'data'" in line
