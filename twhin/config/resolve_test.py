# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Defaults that depend on other fields."""

from pathlib import Path

import pytest

from twhin.config.settings import FileFormat, OptimizerKind
from twhin.testing.config_case import TEXT, ConfigCase


def test_table_takes_rate_and_rule_of_the_run_unless_it_has_its_own(
    tmp_path: Path,
) -> None:
    settings = (
        ConfigCase(tmp_path)
        .load(
            "optimizer={kind: adagrad, learning_rate: 0.5}",
            "graph.entity_types[1].table={learning_rate: 0.25, optimizer: sgd}",
        )
        .settings
    )

    user, tweet = (entity_type.table for entity_type in settings.graph.entity_types)
    assert (user.optimizer, user.learning_rate) == (OptimizerKind.ADAGRAD, 0.5)
    assert (tweet.optimizer, tweet.learning_rate) == (OptimizerKind.SGD, 0.25)


def test_relation_parameters_have_the_rate_of_the_run_and_their_own_rule(
    tmp_path: Path,
) -> None:
    case = ConfigCase(tmp_path)

    inherited = case.load("optimizer.learning_rate=0.5").settings.relation_optimizer
    own = case.load("relation_optimizer={learning_rate: 0.01, kind: adam}").settings

    assert (inherited.kind, inherited.learning_rate) == (OptimizerKind.ADAGRAD, 0.5)
    assert own.relation_optimizer.kind is OptimizerKind.ADAM
    assert own.relation_optimizer.learning_rate == 0.01
    assert own.optimizer.learning_rate == 0.1


def test_uniform_negatives_give_way_to_all_entities(tmp_path: Path) -> None:
    case = ConfigCase(tmp_path)

    assert case.load().settings.negatives.num_uniform == 500
    assert case.load("negatives.all_entities=true").settings.negatives.num_uniform == 0


def test_explicit_zero_is_not_the_default(tmp_path: Path) -> None:
    settings = (
        ConfigCase(tmp_path)
        .load("negatives={in_batch: true, num_uniform: 0}", "loss.margin=0")
        .settings
    )

    assert settings.negatives.num_uniform == 0
    assert settings.loss.margin == 0


def test_contrastive_loss_has_a_threshold_of_its_own(tmp_path: Path) -> None:
    settings = (
        ConfigCase(tmp_path)
        .load("loss.kind=cosine_contrastive", "model.comparator=cosine")
        .settings
    )

    assert settings.loss.margin == 0.5


@pytest.mark.parametrize(
    ("overrides", "temperature", "init_scale"),
    [
        ([], 0.1, 0.1),
        (["model.comparator=dot"], 1.0, 0.001),
        (["loss.kind=ranking"], 1.0, 0.1),
        (["loss.temperature=0.5", "model.init_scale=0.2"], 0.5, 0.2),
    ],
)
def test_temperature_and_scale_go_with_the_comparator(
    tmp_path: Path, overrides: list[str], temperature: float, init_scale: float
) -> None:
    settings = ConfigCase(tmp_path).load(*overrides).settings

    assert settings.loss.temperature == temperature
    assert settings.model.init_scale == init_scale


@pytest.mark.parametrize(
    ("path", "format_"),
    [
        ("a.csv", FileFormat.CSV),
        ("a.csv.gz", FileFormat.CSV),
        ("a.csv.zip", FileFormat.CSV),
        ("a.tsv.zst", FileFormat.TSV),
        ("*.jsonl", FileFormat.JSON_LINES),
        ("s3://bucket/a.jsonl.gz", FileFormat.JSON_LINES),
        ("a.parquet", FileFormat.PARQUET),
        ("folder", FileFormat.PARQUET),
    ],
)
def test_format_follows_the_ending_of_the_first_path(
    tmp_path: Path, path: str, format_: FileFormat
) -> None:
    raw = (
        ConfigCase(tmp_path)
        .load(f"data.raw.train.paths=['{path}', b]")
        .settings.data.raw
    )

    assert raw is not None
    assert raw.train[0].format is format_


def test_column_of_relations_is_looked_for_unless_one_is_given(tmp_path: Path) -> None:
    case = ConfigCase(tmp_path)

    named = case.load("data.raw.train={paths: a}").settings.data.raw
    fixed = case.load("data.raw.train={paths: a, relation: likes}").settings.data.raw

    assert named is not None
    assert fixed is not None
    assert (named.train[0].rel, named.train[0].relation) == ("rel", None)
    assert (fixed.train[0].rel, fixed.train[0].relation) == (None, "likes")


def test_mixture_is_measured_only_where_it_is_asked_for(tmp_path: Path) -> None:
    case = ConfigCase(tmp_path)

    assert case.load().settings.evaluation.mixture is None
    mixture = case.load(
        "evaluation={retrieval_relations: likes, mixture: {}}"
    ).settings.evaluation.mixture
    assert mixture is not None
    assert mixture.num_clusters == 1000


def test_root_is_the_folder_of_the_file(tmp_path: Path) -> None:
    assert ConfigCase(tmp_path).load().settings.data.root == str(tmp_path)


def test_root_in_the_file_starts_from_the_folder_of_the_file(tmp_path: Path) -> None:
    case = ConfigCase(tmp_path, TEXT.replace("data: {", "data: {root: up/../down, "))

    assert case.load().settings.data.root == str(tmp_path / "down")


def test_overridden_root_starts_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    case = ConfigCase(folder)
    monkeypatch.chdir(tmp_path)

    assert case.load("data.root=data").settings.data.root == str(tmp_path / "data")


def test_url_as_root_stays_a_url(tmp_path: Path) -> None:
    data = ConfigCase(tmp_path).load("data.root=s3://bucket/graph").settings.data

    assert data.root == "s3://bucket/graph"
