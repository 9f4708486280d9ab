# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of values that are wrong: one error with file, row, column and value."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from twhin.errors import DataError
from twhin.testing.prepare_case import USER_TWEET, PrepareCase

WEIGHTED = """
    data:
      raw:
        train: {paths: "*.parquet", rel: r, weight: w, timestamp: at}
        unseen_entities: keep
    """
GOOD: dict[str, list[Any]] = {
    "lhs": ["a", "b", "c"],
    "r": ["likes"] * 3,
    "rhs": ["t"] * 3,
    "w": [1.0, 2.0, 3.0],
    "at": [1, 2, 3],
}


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    case = PrepareCase(tmp_path)
    case.write_parquet("1.parquet", **GOOD)
    return case


def check_error(case: PrepareCase, match: str, **columns: list[Any]) -> None:
    """Expects an error about a second file, and that nothing is written."""
    case.write_parquet("2.parquet", **{**GOOD, **columns})
    graph = USER_TWEET.replace("- {name: follows, lhs: user, rhs: user}", "")

    with pytest.raises(DataError, match=match) as error:
        case.prepare(graph, WEIGHTED)

    assert "\n" not in str(error.value)
    names = {path.name for path in case.folder.iterdir()}
    assert names == {"1.parquet", "2.parquet", "config.yaml"}


@pytest.mark.parametrize("column", ["lhs", "rhs", "r"])
def test_null_ids_and_relations(case: PrepareCase, column: str) -> None:
    values = [GOOD[column][0], None, None]

    check_error(
        case,
        rf"/2.parquet: row 1, column '{column}' is null; allowed: no null",
        **{column: values},
    )


@pytest.mark.parametrize(
    ("weight", "shown"),
    [
        (0.0, "'0.0'"),
        (-2.0, "'-2.0'"),
        (float("nan"), "'nan'"),
        (float("inf"), "'inf'"),
        (1e39, "'1e\\+39'"),
        (1e-39, "'1e-39'"),
        (None, "null"),
    ],
)
def test_weights_that_are_no_positive_float32(
    case: PrepareCase, weight: float | None, shown: str
) -> None:
    check_error(
        case,
        rf"/2.parquet: row 2, column 'w' is {shown}; allowed: numbers in \(0, inf\)",
        w=[1.0, 2.0, weight],
    )


def test_null_times(case: PrepareCase) -> None:
    check_error(
        case, r"row 0, column 'at' is null; allowed: integers or", at=[None, 1, 2]
    )


def test_unknown_relations(case: PrepareCase) -> None:
    check_error(
        case,
        r"/2.parquet: row 1, column 'r': unknown relation 'liked'; allowed: 'likes';"
        r" did you mean 'likes'\?",
        r=["likes", "liked", "likes"],
    )


def test_columns_of_a_wrong_type(case: PrepareCase) -> None:
    check_error(
        case,
        r"/2.parquet: column 'w' for 'weight' has the type 'string'; allowed: integer or"
        " float",
        w=["1", "2", "3"],
    )


def test_ids_that_are_floats(case: PrepareCase) -> None:
    check_error(
        case,
        r"/2.parquet: column 'lhs' for 'lhs' has the type 'double'; allowed: integer or",
        lhs=[1.0, 2.0, None],
    )


def test_a_column_of_nulls_alone(case: PrepareCase) -> None:
    check_error(case, "has the type 'null'", lhs=[None, None, None])


def test_wrong_values_that_the_filter_leaves_out_are_allowed(case: PrepareCase) -> None:
    case.write_parquet(
        "2.parquet", **{**GOOD, "lhs": ["a", None, "c"], "w": [1, -1, 1]}
    )
    graph = USER_TWEET.replace("- {name: follows, lhs: user, rhs: user}", "")
    kept = WEIGHTED.replace("weight: w", 'weight: w, filter: "w > 0"')

    manifest = case.prepare(graph, kept)

    assert manifest.splits["train"].num_edges == 5
    assert manifest.splits["train"].num_filtered == 1


@pytest.mark.parametrize(
    ("condition", "reason"),
    [("language = 1", "language"), ("w >", "syntax error")],
)
def test_filters_that_cannot_be_evaluated(
    case: PrepareCase, condition: str, reason: str
) -> None:
    source = f'{{paths: "*.parquet", rel: r, filter: "{condition}"}}'

    with pytest.raises(DataError, match=rf"^data.raw.train\[0\].filter: .*{reason}"):
        case.prepare(USER_TWEET, f"data: {{raw: {{train: {source}}}}}")


def test_filters_that_leave_nothing(case: PrepareCase) -> None:
    source = '{paths: "*.parquet", rel: r, filter: "w > 99"}'

    with pytest.raises(DataError, match="the filters leave no edge"):
        case.prepare(USER_TWEET, f"data: {{raw: {{train: {source}}}}}")


def test_files_without_rows(case: PrepareCase) -> None:
    empty = pa.array([], pa.string())
    case.write_parquet("empty/1.parquet", lhs=empty, rel=empty, rhs=empty)

    with pytest.raises(DataError, match=r"data.raw.train\[0\]: the files have no rows"):
        case.prepare(USER_TWEET, "data: {raw: {train: {paths: empty}}}")


def test_damaged_pages_name_the_file(case: PrepareCase) -> None:
    path = case.write_parquet(
        "2.parquet",
        **{name: values * 5000 for name, values in GOOD.items()},
    )
    content = bytearray(path.read_bytes())
    content[8:400] = b"\xff" * 392
    path.write_bytes(content)
    graph = USER_TWEET.replace("- {name: follows, lhs: user, rhs: user}", "")

    with pytest.raises(DataError, match=r"/2.parquet: damaged \("):
        case.prepare(graph, WEIGHTED)
