# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Search spaces: what they may vary, and what is said about those that cannot be."""

from pathlib import Path

import pytest

from twhin.config.resolved_config import load_config
from twhin.errors import ConfigError
from twhin.tuning.search_space import (
    Choices,
    Range,
    SearchSpace,
    configured_values,
    load_space,
)

_DEFAULT = Path(__file__).resolve().parents[1] / "configs" / "search" / "default.yaml"


def _load(folder: Path, text: str) -> SearchSpace:
    path = folder / "space.yaml"
    path.write_text(text)
    return load_space(path, None)


def test_type_of_the_field_decides_about_whole_numbers(tmp_path: Path) -> None:
    space = _load(
        tmp_path,
        "training.batch_size: {low: 10, high: 20}\n"
        "loss.temperature: {low: 1, high: 10, log: true}\n"
        "training.max_steps: {low: 1, high: 2}\n"
        "graph.entity_types[1].table.learning_rate: {low: 0.1, high: 0.5}\n",
    )

    assert space == {
        "training.batch_size": Range(low=10, high=20, is_log=False, is_whole=True),
        "loss.temperature": Range(low=1.0, high=10.0, is_log=True, is_whole=False),
        "training.max_steps": Range(low=1, high=2, is_log=False, is_whole=True),
        "graph.entity_types[1].table.learning_rate": Range(
            low=0.1, high=0.5, is_log=False, is_whole=False
        ),
    }


def test_choices_may_be_anything_that_a_field_takes(tmp_path: Path) -> None:
    space = _load(
        tmp_path,
        "model.reciprocal: {choices: [true, false]}\n"
        "loss: {choices: [{kind: ranking, margin: 1}, {kind: softmax}]}\n"
        "training.max_steps: {choices: [null, 100]}\n",
    )

    assert space["model.reciprocal"] == Choices(values=("true", "false"))
    assert space["loss"] == Choices(
        values=('{"kind": "ranking", "margin": 1}', '{"kind": "softmax"}')
    )
    assert space["training.max_steps"] == Choices(values=("null", "100"))


def test_default_space_can_be_searched_from_the_demonstration() -> None:
    space = load_space(_DEFAULT, None)

    assert set(configured_values(space, load_config().settings)) == set(space)


def test_configured_values_are_those_that_the_space_has(tmp_path: Path) -> None:
    space = _load(
        tmp_path,
        "training.batch_size: {low: 10, high: 20000}\n"
        "optimizer.learning_rate: {low: 0.2, high: 0.5}\n"
        "loss.kind: {choices: [logistic, softmax]}\n"
        "graph.relations[1].operator: {choices: [diagonal, translation]}\n"
        "training.max_steps: {low: 10, high: 20}\n"
        "model.comparator: {choices: [dot]}\n",
    )

    values = configured_values(space, load_config().settings)

    assert values == {
        "training.batch_size": 10000,
        "loss.kind": '"softmax"',
        "graph.relations[1].operator": '"translation"',
    }


_FORMS = "{low: NUMBER, high: NUMBER, log: BOOL} or {choices: [VALUE, ...]}"
_FREE = (
    "trials share the graph and what is measured; allowed: fields that training alone"
    " depends on, and of 'graph' those of 'table', 'operator', 'loss_weight' and"
    " 'sampling_rate'"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "loss.temperature: 3",
            f"loss.temperature: 3 has another form; allowed: {_FORMS}",
        ),
        (
            "loss.temperature: {low: 1}",
            f"loss.temperature: {{'low': 1}} has another form; allowed: {_FORMS}",
        ),
        (
            "loss.temperature: {low: 1, high: 2, step: 1}",
            "loss.temperature: {'low': 1, 'high': 2, 'step': 1} has another form;"
            f" allowed: {_FORMS}",
        ),
        (
            "loss.temperature: {low: 2, high: 2}",
            "loss.temperature: low 2 and high 2; allowed: two numbers, low below high",
        ),
        (
            "loss.temperature: {low: a, high: 2}",
            "loss.temperature: low 'a' and high 2; allowed: two numbers, low below high",
        ),
        (
            "loss.temperature: {low: 0, high: 2, log: true}",
            "loss.temperature.low: 0 has no logarithm; allowed: above 0",
        ),
        (
            "loss.temperature: {low: 1, high: 2, log: 10}",
            "loss.temperature.log: wrong type 10; allowed: true or false",
        ),
        (
            "loss.kind: {low: 1, high: 2}",
            "loss.kind: not a number; allowed: {choices: [VALUE, ...]}",
        ),
        (
            "loss.kind: {choices: []}",
            "loss.kind.choices: [] is no choice; allowed: a list",
        ),
        ("data.demo.seed: {low: 1, high: 2}", f"data.demo.seed: {_FREE}"),
        ("evaluation.num_edges: {low: 1, high: 2}", f"evaluation.num_edges: {_FREE}"),
        (
            "graph.entity_types[0].min_degree: {low: 1, high: 2}",
            f"graph.entity_types[0].min_degree: {_FREE}",
        ),
        (
            "los.kind: {choices: [softmax]}",
            "los: unknown field 'los'; known: 'checkpoint', 'data', 'evaluation',"
            " 'export', 'graph', 'loss', 'model', 'negatives', 'optimizer',"
            " 'relation_optimizer', 'runtime', 'schedule', 'training', 'warm_start';"
            " did you mean 'loss'?",
        ),
        (
            "training.batch_size: {choices: [100, few]}",
            "training.batch_size: wrong type 'few'; allowed: a whole number",
        ),
        (
            "graph.relations[9].loss_weight: {low: 1, high: 2}",
            "--override=graph.relations[9].loss_weight=1.0: index 9 is out of range;"
            " allowed: [0, 4)\n"
            "--override=graph.relations[9].loss_weight=2.0: index 9 is out of range;"
            " allowed: [0, 4)",
        ),
    ],
)
def test_fault_is_named_with_what_is_allowed(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        _load(tmp_path, text)

    assert str(raised.value) == message


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        _load(tmp_path, "loss.kind: 1\nmodel.dropout: 2\n")

    assert len(str(raised.value).split("\n")) == 2


@pytest.mark.parametrize("text", ["", "- a", "a"])
def test_space_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"wrong type .*; allowed: a mapping of paths"
    ):
        _load(tmp_path, text)


def test_space_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        load_space(tmp_path / "none.yaml", None)
