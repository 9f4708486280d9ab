# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks joins against all pairs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from twhin.training import row_join

_KEYS = st.lists(
    st.one_of(st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1)), max_size=30
)


@settings(deadline=None)  # A busy machine is no fault.
@given(_KEYS, _KEYS)
def test_join_finds_every_pair_of_equal_keys_in_order(
    left: list[int], right: list[int]
) -> None:
    i, j = row_join.join(
        np.array(left, dtype=np.int64), np.array(right, dtype=np.int64)
    )

    expected = [
        (a, b) for a, x in enumerate(left) for b, y in enumerate(right) if x == y
    ]
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == expected


def test_expand_lists_the_members_of_ranges() -> None:
    ranges, members = row_join.expand(np.array([7, 3, 0]), np.array([2, 0, 3]))

    assert ranges.tolist() == [0, 0, 2, 2, 2]
    assert members.tolist() == [7, 8, 0, 1, 2]
