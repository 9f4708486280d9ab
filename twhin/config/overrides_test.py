# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Overrides set single values of a configuration."""

from pathlib import Path

import pytest

from twhin.config.settings import LossKind
from twhin.scoring import Operator
from twhin.testing.config_case import TEXT, ConfigCase


def test_override_wins_over_the_file_and_the_last_one_over_the_others(
    tmp_path: Path,
) -> None:
    case = ConfigCase(tmp_path, TEXT + "model: {embedding_dim: 8}\n")

    settings = case.load("model.embedding_dim=16", "model.embedding_dim=32").settings

    assert settings.model.embedding_dim == 32


def test_override_makes_messages_that_the_file_does_not_have(tmp_path: Path) -> None:
    settings = ConfigCase(tmp_path).load("loss.kind=logistic").settings

    assert settings.loss.kind is LossKind.LOGISTIC
    assert settings.loss.temperature == 1.0


def test_override_reaches_an_element_of_a_list(tmp_path: Path) -> None:
    settings = (
        ConfigCase(tmp_path).load("graph.relations[1].operator=diagonal").settings
    )

    assert [relation.operator for relation in settings.graph.relations] == [
        Operator.TRANSLATION,
        Operator.DIAGONAL,
    ]


def test_override_sets_a_list_or_one_value_for_a_list_of_one(tmp_path: Path) -> None:
    case = ConfigCase(tmp_path)

    assert case.load("evaluation.hits_at=[1, 5]").settings.evaluation.hits_at == (1, 5)
    assert case.load("evaluation.hits_at=5").settings.evaluation.hits_at == (5,)


def test_element_zero_of_one_value_is_that_value(tmp_path: Path) -> None:
    case = ConfigCase(tmp_path)

    settings = case.load(
        "data.raw.train={paths: a.csv}", "data.raw.train[0].lhs=user"
    ).settings

    assert settings.data.raw is not None
    assert settings.data.raw.train[0].lhs == "user"


def test_null_unsets_a_field(tmp_path: Path) -> None:
    case = ConfigCase(tmp_path)

    settings = case.load("training.max_steps=3", "training.max_steps=null").settings

    assert settings.training.max_steps is None


def test_member_of_a_oneof_replaces_the_other(tmp_path: Path) -> None:
    data = ConfigCase(tmp_path).load("data.raw.train.paths=a.csv").settings.data

    assert data.prepared is None
    assert data.raw is not None


def test_null_member_of_a_oneof_replaces_nothing(tmp_path: Path) -> None:
    data = ConfigCase(tmp_path).load("data.raw=null").settings.data

    assert data.prepared == "graph"
    assert data.raw is None


def test_value_may_hold_an_equals_sign(tmp_path: Path) -> None:
    settings = (
        ConfigCase(tmp_path)
        .load("data.raw.train={paths: a, filter: 'stars=5'}")
        .settings
    )

    assert settings.data.raw is not None
    assert settings.data.raw.train[0].filter == "stars=5"


def test_empty_value_is_null(tmp_path: Path) -> None:
    assert (
        ConfigCase(tmp_path)
        .load("evaluation.best_metric=")
        .settings.evaluation.best_metric
        is None
    )


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        (
            "model",
            "'model' is not a path with a value; allowed: path.to.field=value,"
            " path.to.list[0].field=value",
        ),
        (
            "=3",
            "'' is not a path with a value; allowed: path.to.field=value,"
            " path.to.list[0].field=value",
        ),
        (
            "model..dropout=0",
            "'model..dropout' is not a path with a value; allowed:"
            " path.to.field=value, path.to.list[0].field=value",
        ),
        (
            "graph.relations[-1].name=a",
            "'graph.relations[-1].name' is not a path with a value; allowed:"
            " path.to.field=value, path.to.list[0].field=value",
        ),
        (
            "model.dropout\u00b2=0",
            "'model.dropout\u00b2' is not a path with a value; allowed:"
            " path.to.field=value, path.to.list[0].field=value",
        ),
        (
            "graph.relations[2].name=a",
            "index 2 is out of range; allowed: [0, 2)",
        ),
        (
            "graph.relations.name=a",
            "'name' is looked for in a list; allowed: the index of one of its 2"
            " elements before it, like [0].name",
        ),
        (
            "data.prepared.folder=a",
            "'folder' is looked for in 'graph'; allowed: the field of a mapping",
        ),
    ],
)
def test_bad_override_is_quoted_with_the_reason(
    tmp_path: Path, override: str, reason: str
) -> None:
    assert ConfigCase(tmp_path).faults(override) == [f"--override={override}: {reason}"]


def test_value_that_is_not_yaml_is_refused_at_its_place(tmp_path: Path) -> None:
    (line,) = ConfigCase(tmp_path).faults("evaluation.hits_at=[1")

    assert line == (
        "--override=evaluation.hits_at=[1:1:3: expected ',' or ']', but got"
        " '<stream end>'; YAML is needed"
    )


def test_whole_number_may_be_written_with_an_exponent(tmp_path: Path) -> None:
    settings = ConfigCase(tmp_path).load("training.batch_size=2e3").settings

    assert settings.training.batch_size == 2000
    assert type(settings.training.batch_size) is int
