# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A search with real trainings, from the command line to its files."""

import csv
import json
from pathlib import Path

from twhin.bin import tune
from twhin.config.resolved_config import load_config
from twhin.testing.command_process import run_python

_TINY = (
    "data.demo.num_users=200",
    "data.demo.num_tweets=300",
    "data.demo.num_advertisements=20",
    "data.demo.num_edges=2000",
    "model.embedding_dim=8",
    "negatives.num_uniform=10",
    "training.batch_size=500",
    "training.num_epochs=1",
    "evaluation.best_metric=link_prediction/filtered/mrr",
)
_METRIC = "valid/link_prediction/filtered/mrr"
# With a comparator that its loss refuses: one of the trials has no chance.
_SPACE = """
optimizer.learning_rate: {low: 0.01, high: 1, log: true}
loss.kind: {choices: [softmax, cosine_contrastive]}
"""


def test_search_trains_compares_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(_SPACE)
    command = [
        "-m",
        tune.__name__,
        "--space=space.yaml",
        "--output_dir=search",
        *(f"--override={override}" for override in _TINY),
    ]

    first = run_python(*command, "--num_trials=1", folder=tmp_path)
    again = run_python(*command, "--num_trials=2", folder=tmp_path)

    assert first.returncode == 0, first.stderr
    assert again.returncode == 0, again.stderr
    assert "Trial 0:" not in again.stdout
    folder = tmp_path / "search"
    with (folder / "trials.csv").open(newline="") as file:
        trials = list(csv.DictReader(file))
    complete = [trial for trial in trials if trial["state"] == "complete"]
    assert len(complete) == 2
    # The first trial is the configuration itself.
    assert trials[0]["optimizer.learning_rate"] == "0.1"
    assert trials[0]["loss.kind"] == "softmax"
    for trial in complete:
        run = folder / "trials" / f"{int(trial['trial']):05}"
        metrics = json.loads((run / "metrics.json").read_text())
        assert float(trial["metric"]) == metrics[_METRIC]
        # Nothing is chosen by the test edges.
        assert {name.partition("/")[0] for name in metrics if "/" in name} == {"valid"}
    best = max(complete, key=lambda trial: float(trial["metric"]))
    kept = [path.parent.name for path in folder.glob("trials/*/checkpoints")]
    assert kept == [f"{int(best['trial']):05}"]
    assert (folder / "search.html").is_file()
    settings = load_config(folder / "best.yaml").settings
    assert f"{settings.optimizer.learning_rate:.5g}" == best["optimizer.learning_rate"]
    assert settings.data.demo is not None


def test_search_without_a_metric_is_refused(tmp_path: Path) -> None:
    done = run_python("-m", tune.__name__, folder=tmp_path)

    assert done.returncode == 2
    assert done.stderr == (
        "evaluation.best_metric: missing; trials are compared by it, for example"
        " --override=evaluation.best_metric=link_prediction/filtered/mrr\n"
    )
    assert list(tmp_path.iterdir()) == []
