# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the metrics file and the table of metrics."""

import json
from pathlib import Path

from twhin.evaluation import report

VALID = {"valid/link_prediction/filtered/mrr": 0.25}
TEST = {
    "test/link_prediction/filtered/mrr": 0.5,
    "test/link_prediction/filtered/mrr/relation=likes": 0.75,
}


def test_file_is_one_flat_object(tmp_path: Path) -> None:
    report.write_metrics(tmp_path / "metrics.json", TEST, config_digest="ab", step=7)

    assert json.loads((tmp_path / "metrics.json").read_text()) == {
        "config_digest": "ab",
        "step": 7,
        **TEST,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_other_splits_of_the_same_model_stay(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    report.write_metrics(path, VALID | TEST, config_digest="ab", step=7)

    report.write_metrics(
        path, {"test/retrieval/recall@20": 1.0}, config_digest="ab", step=7
    )

    assert json.loads(path.read_text()) == {
        "config_digest": "ab",
        "step": 7,
        **VALID,
        "test/retrieval/recall@20": 1.0,
    }


def test_metrics_of_another_step_or_configuration_go(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"

    for digest, step in (("ab", 8), ("cd", 8)):
        report.write_metrics(path, VALID, config_digest=digest, step=step - 1)
        report.write_metrics(path, TEST, config_digest=digest, step=step)

        assert "valid/link_prediction/filtered/mrr" not in json.loads(path.read_text())


def test_damaged_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text('{"step": 7, "conf')

    report.write_metrics(path, TEST, config_digest="ab", step=7)

    assert json.loads(path.read_text())["step"] == 7


def test_table_has_the_baseline_beside_the_model() -> None:
    table = report.format_table(
        {
            "test/retrieval/num_lists": 12.0,
            "test/retrieval/recall@20": 0.25,
            "test/retrieval/recall@20/relation=likes": 0.5,
            "test/retrieval/popularity/recall@20": 0.125,
        }
    )

    assert [line.split() for line in table.splitlines()] == [
        ["metric", "model", "popularity"],
        ["test/retrieval/num_lists", "12"],
        ["test/retrieval/recall@20", "0.2500", "0.1250"],
    ]


def test_columns_without_a_number_are_left_out() -> None:
    table = report.format_table(TEST)

    assert table.splitlines()[0].split() == ["metric", "model"]


def test_table_takes_metrics_of_no_split() -> None:
    table = report.format_table({"alignment/similarity": 0.5})

    assert table.splitlines()[1].split() == ["alignment/similarity", "0.5000"]


def test_table_has_the_change_by_compression() -> None:
    table = report.format_table(
        {"test/retrieval/recall@20": 0.24}, {"test/retrieval/recall@20": 0.25}
    )

    assert [line.split() for line in table.splitlines()] == [
        ["metric", "model", "uncompressed", "change"],
        ["test/retrieval/recall@20", "0.2400", "0.2500", "-4.00%"],
    ]
