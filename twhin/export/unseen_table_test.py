# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks tables of entities that were not trained."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twhin.bundle.bundle import Bundle
from twhin.errors import DataError
from twhin.export.unseen_table import write_unseen_table
from twhin.testing.small_bundle import (
    RelationForTest,
    TableForTest,
    write_bundle_for_test,
)

_TIME = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(name="bundle")
def _bundle(tmp_path: Path) -> Bundle:
    write_bundle_for_test(
        tmp_path / "bundle",
        {
            "user": TableForTest(ids=["ann", "bob"], vectors=[[1.0, 0.0], [3.0, 2.0]]),
            "item": TableForTest(ids=[1, 2], vectors=[[0.0, 8.0], [4.0, 0.0]]),
        },
        [
            RelationForTest(name="buys", lhs="user", rhs="item"),
            RelationForTest(name="follows", lhs="user", rhs="user"),
        ],
    )
    return Bundle.open(tmp_path / "bundle")


def _write(bundle: Bundle, entity_type: str, folder: Path, **columns: Any) -> pa.Table:
    pq.write_table(pa.table(columns), folder / "edges.parquet")
    write_unseen_table(
        bundle,
        entity_type,
        folder / "edges.parquet",
        folder / "vectors.parquet",
        event_time=_TIME,
    )
    return pq.read_table(folder / "vectors.parquet")


def test_entities_get_the_weighted_mean_of_what_they_touched(
    bundle: Bundle, tmp_path: Path
) -> None:
    table = _write(
        bundle,
        "user",
        tmp_path,
        id=["eve", "eve", "max", "tim"],
        relation=["buys"] * 4,
        other=[1, 2, 2, 99],
        weight=[3.0, 1.0, 1.0, 1.0],
    )

    assert table["user_id"].to_pylist() == ["eve", "max"]
    assert table["embedding"].to_pylist() == [[1.0, 6.0], [4.0, 0.0]]
    assert table["event_timestamp"].to_pylist() == [_TIME, _TIME]


def test_a_side_tells_the_ends_of_one_type_apart(
    bundle: Bundle, tmp_path: Path
) -> None:
    columns = {"id": [7, 7], "relation": ["follows"] * 2, "other": ["ann", "bob"]}

    with pytest.raises(DataError, match="allowed: a side where the entity type is"):
        _write(bundle, "user", tmp_path, **columns)
    table = _write(bundle, "user", tmp_path, **columns, side=["lhs", "rhs"])

    assert table["user_id"].to_pylist() == [7]
    assert table["embedding"].to_pylist() == [[2.0, 1.0]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["eve"], "relation": ["buys"]}, "no column 'other'"),
        ({"id": [None], "relation": ["buys"], "other": [1]}, "no column 'id'"),
        ({"id": ["eve"], "relation": ["sells"], "other": [1]}, "unknown relation"),
        ({"id": ["eve"], "relation": ["buys"], "other": ["x"]}, "the ids of 'item'"),
    ],
)
def test_files_that_cannot_be_used_say_why(
    bundle: Bundle, tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        _write(bundle, "user", tmp_path, **columns)
