# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that keys are a bijection of int64 ids, and agree between their forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twhin.bundle import id_hash
from twhin.bundle.utf8_ids import Utf8Ids, pack_ids

_INT64 = st.integers(-(2**63), 2**63 - 1)
_TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"),
    min_size=1,
    max_size=40,
)


@given(st.lists(_INT64, min_size=1, max_size=20))
def test_int64_keys_give_the_ids_back(ids: list[int]) -> None:
    array = np.array(ids, np.int64)

    keys = id_hash.int64_keys(array)

    assert id_hash.ids_of_int64_keys(keys).tolist() == ids
    assert [id_hash.int64_key(i) for i in ids] == keys.tolist()


@given(st.lists(_TEXT, min_size=1, max_size=20), st.integers(0, 7))
def test_string_keys_depend_on_the_string_and_the_seed_only(
    ids: list[str], seed: int
) -> None:
    keys = id_hash.string_keys(id_hash.pack_strings(ids), seed)

    alone = [id_hash.string_keys(id_hash.pack_strings([i]), seed)[0] for i in ids]
    packed = pack_ids(Utf8Ids.from_strings(ids), "ids")
    ragged = id_hash.ragged_string_keys(packed.words, packed.offsets, seed)
    assert keys.tolist() == alone
    assert keys.tolist() == ragged.tolist()
    factors = id_hash.multipliers(40, seed).tolist()
    assert keys.tolist() == [id_hash.string_key(i.encode(), factors) for i in ids]
    assert (id_hash.string_keys(id_hash.pack_strings(ids), seed + 1) != keys).all()


def test_bytes_and_text_have_the_same_key() -> None:
    text = id_hash.string_keys(id_hash.pack_strings(["a", "\u00e9t\u00e9"]), 0)
    data = id_hash.string_keys(id_hash.pack_strings([b"a", b"\xc3\xa9t\xc3\xa9"]), 0)

    assert text.tolist() == data.tolist()


@pytest.mark.parametrize("num_shards", [1, 2, 3, 7, 8, 1000])
def test_first_keys_of_shards_are_where_shards_change(num_shards: int) -> None:
    firsts = id_hash.first_keys_of_shards(num_shards)

    shards = id_hash.shards_of_keys(firsts, num_shards)
    before = id_hash.shards_of_keys(firsts[1:] - np.uint64(1), num_shards)
    assert firsts[0] == 0
    assert shards.tolist() == list(range(num_shards))
    assert before.tolist() == list(range(num_shards - 1))


def test_keys_of_neighbouring_ids_spread_over_shards() -> None:
    keys = id_hash.int64_keys(np.arange(80_000))

    sizes = np.bincount(id_hash.shards_of_keys(keys, 8), minlength=8)

    # 10,000 each, with a standard deviation of 94.
    assert abs(sizes - 10_000).max() < 500
