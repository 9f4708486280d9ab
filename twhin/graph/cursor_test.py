# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that cursors survive JSON and that other values are refused."""

import json

import pytest

from twhin.errors import DataError
from twhin.graph.cursor import Cursor, Stage

CURSOR = Cursor(
    epoch=3,
    num_rows=100,
    window_start=40,
    window_rows=20,
    stages=(
        Stage(world_size=2, rows_per_step=4, num_steps=1),
        Stage(world_size=1, rows_per_step=5, num_steps=2),
    ),
)


def test_cursor_survives_json() -> None:
    assert Cursor.from_json(json.loads(json.dumps(CURSOR.to_json()))) == CURSOR


@pytest.mark.parametrize(
    "change", [{"epoch": None}, {"stages": [[1, 2]]}, {"num_rows": "many"}]
)
def test_other_values_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(DataError, match="cursor: not the position of a reader"):
        Cursor.from_json({**CURSOR.to_json(), **change})


def test_missing_field_is_refused() -> None:
    values = CURSOR.to_json()
    del values["window_start"]

    with pytest.raises(DataError, match=r"expected the fields that Cursor\.to_json"):
        Cursor.from_json(values)
