# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of what a dry run finds, and that it leaves nothing."""

import dataclasses
from pathlib import Path

import pytest

from twhin.config.settings import Dtype, OptimizerKind
from twhin.errors import DataError
from twhin.graph.prepare import dry_run_report
from twhin.graph.prepare.dry_run import DryRun, dry_run, row_bytes
from twhin.graph.prepare.duckdb_engine import DuckDBEngine
from twhin.graph.prepare.engine import silent
from twhin.testing.prepare_case import USER_TWEET, PrepareCase

TRAIN = "data: {raw: {train: {paths: train.parquet}, holdout: {test_fraction: 0.2}}}"


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    case = PrepareCase(tmp_path)
    likes = [(f"u{i % 100}", "likes", f"t{i}") for i in range(3000)]
    case.write_edges("train.parquet", [*likes, ("u1", "follows", "u200")])
    return case


def run(case: PrepareCase, *parts: str) -> DryRun:
    return dry_run(
        case.settings(*parts),
        str(case.folder / "run" / "prepared"),
        make_engine=lambda work: DuckDBEngine(
            work, memory_limit_bytes=1 << 28, num_threads=1, progress=silent
        ),
    )


def test_edges_are_counted_and_entities_estimated(case: PrepareCase) -> None:
    result = run(case, USER_TWEET, TRAIN)

    assert result.edges["train"] == {"follows": 1, "likes": 3000}
    assert result.edges["test"] == {}
    entities = {each.name: each.num_entities for each in result.entities}
    assert abs(entities["user"] - 101) < 10
    assert abs(entities["tweet"] - 3000) < 300
    assert [each.id_type for each in result.entities] == ["string", "string"]


def test_columns_have_their_range(case: PrepareCase) -> None:
    lhs, rhs = run(case, USER_TWEET, TRAIN).columns

    assert (lhs.side, lhs.column, lhs.entity_types) == ("lhs", "lhs", "user")
    assert (lhs.smallest, lhs.largest) == ("u0", "u99")
    assert (rhs.smallest, rhs.largest) == ("t0", "u200")
    assert set(rhs.entity_types.split(", ")) == {"tweet", "user"}


def test_prepared_size_is_about_what_preparing_writes(case: PrepareCase) -> None:
    estimate = run(case, USER_TWEET, TRAIN).prepared_bytes

    case.prepare(USER_TWEET, TRAIN)

    files = (case.folder / "prepared").rglob("*.parquet")
    assert 0.2 < estimate / sum(file.stat().st_size for file in files) < 5


def test_nothing_is_left(case: PrepareCase) -> None:
    run(case, USER_TWEET, TRAIN)

    assert list((case.folder / "run").iterdir()) == []


def test_faults_are_those_of_preparing(case: PrepareCase) -> None:
    with pytest.raises(
        DataError, match="row 3000, column 'rel': unknown relation 'fol"
    ):
        run(case, USER_TWEET.replace("name: follows", "name: blocks"), TRAIN)

    assert list((case.folder / "run").iterdir()) == []


def test_caps_and_reserved_rows_shape_the_tables(case: PrepareCase) -> None:
    graph = USER_TWEET.replace("{name: tweet}", "{name: tweet, max_entities: 50}")
    graph = graph.replace("{name: user}", "{name: user, num_entities: 5000}")

    entities = {each.name: each for each in run(case, graph, TRAIN).entities}

    assert entities["tweet"].num_entities == 50
    assert entities["user"].num_entities == 5000
    # 128 float32 numbers and one of row-wise Adagrad.
    assert entities["user"].training_bytes == 5000 * (128 * 4 + 4)


@pytest.mark.parametrize(
    ("optimizer", "dtype", "expected"),
    [
        (OptimizerKind.SGD, Dtype.FLOAT32, 40),
        (OptimizerKind.SGD, Dtype.FLOAT16, 20),
        (OptimizerKind.ROWWISE_ADAGRAD, Dtype.FLOAT16, 24),
        (OptimizerKind.ADAGRAD, Dtype.FLOAT32, 80),
        (OptimizerKind.ADAM, Dtype.FLOAT32, 120),
        (OptimizerKind.PARTIAL_ROWWISE_ADAM, Dtype.FLOAT32, 84),
        (OptimizerKind.LAMB, Dtype.FLOAT32, 120),
    ],
)
def test_bytes_of_a_row_of_ten_numbers(
    case: PrepareCase, optimizer: OptimizerKind, dtype: Dtype, expected: int
) -> None:
    entity_type = case.settings(USER_TWEET, TRAIN).graph.entity_types[0]
    table = dataclasses.replace(entity_type.table, optimizer=optimizer, dtype=dtype)

    entity_type = dataclasses.replace(entity_type, table=table)

    assert row_bytes(entity_type, 10) == expected


def test_report_has_schema_sizes_and_needs(case: PrepareCase) -> None:
    graph = USER_TWEET + "    - {name: hides, lhs: user, rhs: tweet}"

    text = "\n".join(
        table.render() for table in dry_run_report.describe(run(case, graph, TRAIN))
    )

    for expected in (
        "data.raw.train[0]  lhs   lhs     user",
        "likes     user  tweet  3,000      0     0",
        "training memory of all ranks",
        "disk while it is written",
        "relation 'hides' has no training edge",
    ):
        assert expected in text
