# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that choices and the values of messages stand for each other."""

from enum import StrEnum
from typing import Any

import pytest

from twhin.bundle import kinds
from twhin.bundle.kinds import IndexKind
from twhin.bundle.row_format import RowFormat
from twhin.errors import BundleError
from twhin.scoring import Comparator, Operator
from twhin.v1 import bundle_pb2, graph_pb2, train_config_pb2


@pytest.mark.parametrize(
    ("choices", "names"),
    [
        (Operator, graph_pb2.Operator),
        (Comparator, train_config_pb2.Comparator),
        (IndexKind, bundle_pb2.IndexKind),
        (RowFormat, bundle_pb2.RowFormat),
    ],
)
def test_every_value_but_the_unspecified_has_a_choice(
    choices: type[StrEnum], names: Any
) -> None:
    numbers = [number for number in names.values() if number]

    found = [kinds.from_proto(choices, names, number, "x") for number in numbers]

    assert found == list(choices)
    assert [kinds.to_proto(kind, names) for kind in found] == numbers
    for number in (0, max(numbers) + 1):
        with pytest.raises(BundleError, match=f"x.y: is {number}; allowed: "):
            kinds.from_proto(choices, names, number, "x.y")
