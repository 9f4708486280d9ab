# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Every committed configuration loads, and its resolved text is the same one."""

import hashlib
import re
from pathlib import Path

import pytest

from twhin.config.resolved_config import DEMO_CONFIG, load_config
from twhin.testing.config_case import ConfigCase

_ROOT = Path(__file__).resolve().parents[2]
_CONFIGS = sorted(DEMO_CONFIG.parent.glob("*.yaml"))
# Sets what no committed configuration sets: the text must hold all of it.
_EVERYTHING = (
    "data.raw={train: [{paths: [a, b], filter: 'x > 0', weight: w, timestamp: t},"
    " {paths: c.csv, columns: [lhs, rhs], relation: likes}],"
    " holdout: {valid_fraction: 0.1, relations: likes}, base_vocabulary: old}",
    "graph.entity_types[0]={num_entities: 5, max_entities: 4, table: {frozen_rows:"
    " kept}, name: user}",
    "graph.relations[0]={name: '1e3', lhs: user, rhs: user, undirected: true}",
    "evaluation={retrieval_relations: likes, mixture: {smoothing: 0},"
    " best_metric: retrieval/mixture/recall@20}",
    "training={max_steps: 7}",
    "runtime={num_threads: 1, device: cuda}",
    "warm_start={checkpoint: run, new_rows: vectors, vectors: v, optimizer_state:"
    " true}",
    "export.bundle_root=bundle",
)


def test_there_are_configurations() -> None:
    assert {"demo", "fb15k237", "gowalla", "lastfm"} <= {path.stem for path in _CONFIGS}


@pytest.mark.parametrize("path", _CONFIGS, ids=lambda path: path.stem)
def test_committed_configuration_is_valid_and_its_text_gives_it_back(
    path: Path, tmp_path: Path
) -> None:
    config = load_config(path)

    again = ConfigCase(tmp_path, config.text).load()

    assert again == config
    assert config.digest == hashlib.sha256(config.text.encode()).hexdigest()


def test_text_of_a_configuration_with_every_field_gives_it_back(
    tmp_path: Path,
) -> None:
    config = ConfigCase(tmp_path).load(*_EVERYTHING)

    again = ConfigCase(tmp_path, config.text).load()

    assert again == config
    assert again.settings.graph.relations[0].name == "1e3"


def test_digest_tells_settings_apart_and_not_their_spelling(tmp_path: Path) -> None:
    case = ConfigCase(tmp_path)

    assert case.load("loss.margin=1").digest == case.load().digest
    assert case.load("loss.kind=LOSS_KIND_SOFTMAX").digest == case.load().digest
    assert case.load("loss.margin=2").digest != case.load().digest


def test_without_a_path_it_is_the_demonstration() -> None:
    assert load_config().settings.data.demo is not None


def test_configuration_of_a_new_graph_takes_at_most_20_lines(tmp_path: Path) -> None:
    text = (_ROOT / "README.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)

    settings = ConfigCase(tmp_path, example).load().settings

    assert len(example.splitlines()) <= 20
    assert settings.data.raw is not None
    assert len(settings.data.raw.train) == 2


def test_all_bad_overrides_are_named_at_once(tmp_path: Path) -> None:
    lines = ConfigCase(tmp_path).faults("model", "model.dropout=0.5", "a.b[=")

    assert [line.split(":")[0] for line in lines] == [
        "--override=model",
        "--override=a.b[=",
    ]


def test_root_within_an_override_starts_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "configs"
    folder.mkdir()
    case = ConfigCase(folder)
    monkeypatch.chdir(tmp_path)

    for override in ("data.root=files", "data={root: files, prepared: graph}"):
        assert case.load(override).settings.data.root == str(tmp_path / "files")
