# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of evaluating checkpoints that real writers saved."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from twhin.bin.evaluation_run import EvaluationRun
from twhin.config.resolved_config import load_config
from twhin.errors import CheckpointError, ConfigError, DataError
from twhin.evaluation.dense_tables import DenseTables
from twhin.evaluation.evaluator import Evaluator
from twhin.scoring import Comparator
from twhin.testing import ranking_case, ranking_run
from twhin.testing.ranking_case import SCHEMA, EncodedGraph
from twhin.testing.ranks import run_ranks

MRR = "test/link_prediction/filtered/mrr"
MORE = "evaluation: {retrieval_relations: [likes, views], retrieval_at: [2, 5]}"


def _expected(
    folder: Path, graph: EncodedGraph, tables: Mapping[str, Tensor]
) -> dict[str, float]:
    settings = load_config(folder / "run.yaml").settings
    return Evaluator(
        settings.evaluation,
        graph=graph,
        model=ranking_case.random_model(Comparator.NEGATIVE_L2),
        comparator=Comparator.NEGATIVE_L2,
        tables=DenseTables(
            schema=SCHEMA,
            embedding_dim=4,
            read_rows=lambda name, start, stop: tables[name][start:stop],
            device=torch.device("cpu"),
        ),
        device=torch.device("cpu"),
        seed=settings.training.seed,
    ).evaluate("test")


@pytest.fixture
def graph(tmp_path: Path) -> EncodedGraph:
    """A graph in the folder of a run, with its configuration."""
    return ranking_run.begin(tmp_path, MORE)


def test_metrics_are_those_of_the_model_that_two_ranks_saved(
    graph: EncodedGraph, tmp_path: Path
) -> None:
    run_ranks(ranking_run.save, 2, tmp_path, 7)

    result = EvaluationRun(tmp_path).evaluate("test", "none")

    assert result is not None
    expected = _expected(tmp_path, graph, ranking_case.random_tables())
    assert result.metrics == expected
    assert result.uncompressed is None
    assert json.loads((tmp_path / "metrics.json").read_text()) == {
        **expected,
        "config_digest": load_config(tmp_path / "run.yaml").digest,
        "step": 7,
    }


def test_newest_checkpoint_is_taken_unless_another_is_named(
    graph: EncodedGraph, tmp_path: Path
) -> None:
    ranking_run.save(tmp_path, 5, is_best=True)
    ranking_run.save(tmp_path, 7, seed=1)
    named = str(tmp_path / "checkpoints/step-00000005")

    chosen = {
        choice: EvaluationRun(tmp_path, checkpoint=choice).checkpoint.name[-1]
        for choice in (None, "newest", "best", named)
    }

    assert chosen == {None: "7", "newest": "7", "best": "5", named: "5"}
    deciding = EvaluationRun(
        tmp_path, overrides=["evaluation.best_metric=link_prediction/filtered/mrr"]
    )
    assert deciding.checkpoint.name == "step-00000005"


def test_compressed_tables_are_measured_beside_the_uncompressed(
    graph: EncodedGraph, tmp_path: Path
) -> None:
    ranking_run.save(tmp_path, 7)
    run = EvaluationRun(tmp_path)
    # Whole numbers within a range of 4 in steps of 4 / 255: as good as exact.
    results = {each: run.evaluate("test", each) for each in ("none", "float16", "pq16")}

    plain, half, pieces = results.values()

    assert plain is not None
    assert half is not None
    assert pieces is not None
    assert half.uncompressed == half.metrics == plain.metrics
    assert half.path.name == "metrics-float16.json"
    # Tables with fewer rows than codewords stay as they are.
    assert pieces.metrics == plain.metrics
    names = sorted(path.name for path in tmp_path.glob("metrics*"))
    assert names == ["metrics-float16.json", "metrics-pq16.json", "metrics.json"]


def test_evaluation_may_be_overridden_and_the_model_not(
    graph: EncodedGraph, tmp_path: Path
) -> None:
    ranking_run.save(tmp_path, 7)

    run = EvaluationRun(tmp_path, overrides=["evaluation.num_candidates=3"])
    result = run.evaluate("test", "none")

    assert result is not None
    assert result.metrics["test/link_prediction/num_candidates"] == 3
    fault = r"model.comparator was .*l2.* is 'dot'; allowed: the checkpoint's own"
    with pytest.raises(ConfigError, match=fault):
        EvaluationRun(tmp_path, overrides=["model.comparator=dot"])


def test_faults_of_the_user_are_named(graph: EncodedGraph, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no complete checkpoint"):
        EvaluationRun(tmp_path)
    ranking_run.save(tmp_path, 7)

    nothing = EvaluationRun(
        tmp_path,
        overrides=[
            "evaluation.link_prediction=false",
            "evaluation.retrieval_relations=[]",
        ],
    )
    with pytest.raises(DataError, match="--split: 'test' has no edges"):
        nothing.evaluate("test", "none")
