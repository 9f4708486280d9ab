# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of local_source."""

from pathlib import Path

import numpy as np
import pytest

from twhin.client.local_source import LocalSource
from twhin.client.request_error import RequestError
from twhin.testing.served_bundle import DIM, user_id, vector, write_bundle


@pytest.fixture(name="source")
def _source(tmp_path: Path) -> LocalSource:
    write_bundle(tmp_path, base=1.0, num_shards=2)
    return LocalSource(tmp_path)


def test_vectors_come_in_the_order_of_the_ids(source: LocalSource) -> None:
    found = source.lookup("user", [user_id(2), 5, user_id(0)])

    assert found.values.tolist() == [vector(2, 1.0), [0.0] * DIM, vector(0, 1.0)]
    assert found.found.tolist() == [True, False, True]
    assert found.version == "v000001"


def test_strings_and_several_types(source: LocalSource) -> None:
    found = source.lookup_many({"tweet": ["t3"], "user": []}, dtype="float16")

    assert found["tweet"].values.tolist() == [vector(3, 1.0)]
    assert found["tweet"].values.dtype == np.float16
    assert found["user"].values.shape == (0, DIM)


def test_neighbors_and_scores_agree(source: LocalSource) -> None:
    best = source.retrieve("user", [5, user_id(3)], relation="likes", k=2)
    ids, scores = best.of(1)

    assert best.offsets.tolist() == [0, 0, 2]
    assert ids.tolist() == ["t4", "t3"]
    again = source.score("likes", user_id(3), ids.tolist()).values
    assert again.tolist() == scores.tolist()
    assert np.isnan(source.score("likes", 5, ["t1"]).values).all()


def test_the_description_is_that_of_the_files(source: LocalSource) -> None:
    info = source.describe()

    assert info.tables["tweet"].is_string
    assert not info.tables["user"].is_string
    assert info.relations == {"likes": ("user", "tweet"), "follows": ("user", "user")}
    assert (info.num_shards, info.version) == (2, "v000001")


def test_wrong_ids_and_names_are_errors(source: LocalSource) -> None:
    with pytest.raises(TypeError):
        source.lookup("user", ["a"])
    with pytest.raises(TypeError):
        source.lookup("tweet", [1])
    for call in (
        lambda: source.lookup("usr", [1]),
        lambda: source.retrieve("user", [1], relation="like", k=1),
        lambda: source.score("like", 1, ["t1"]),
    ):
        with pytest.raises(RequestError, match=r"NOT_FOUND: unknown .*; did you mean"):
            call()
    with pytest.raises(ValueError, match="entity_type: is 'tweet'; allowed: 'user'"):
        source.retrieve("tweet", ["t1"], relation="likes", k=1)
    with pytest.raises(ValueError, match="exactly one"):
        source.retrieve("user", k=1)


def test_it_follows_the_current_version_when_asked(
    source: LocalSource, tmp_path: Path
) -> None:
    assert not source.refresh()
    write_bundle(tmp_path, base=2.0)

    assert source.lookup("user", [10]).values[0, -1] == 1.0
    assert source.refresh()
    assert source.lookup("user", [10]).values[0, -1] == 2.0


def test_vectors_outlive_a_closed_source(source: LocalSource) -> None:
    found = source.lookup("user", [10])
    source.close()

    assert found.values.tolist() == [vector(0, 1.0)]
    with pytest.raises(ValueError, match="closed"):
        source.lookup("user", [10])
