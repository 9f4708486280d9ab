# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks bundles as a reader sees them: whole, in part, damaged, and switched."""

import threading
from pathlib import Path

import numpy as np
import pytest

from twhin.bundle import id_hash
from twhin.bundle.bundle import Bundle
from twhin.bundle.row_format import RowFormat
from twhin.errors import BundleError
from twhin.scoring import Comparator, Operator
from twhin.testing.small_bundle import (
    RelationForTest,
    TableForTest,
    write_bundle_for_test,
)

_USERS = np.arange(100, 300)
_USER_VECTORS = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
_TWEETS = [f"tweet:{number}" for number in range(50)]
_TWEET_VECTORS = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
_RELATIONS = [
    RelationForTest(name="follows", lhs="user", rhs="user"),
    RelationForTest(
        name="likes",
        lhs="user",
        rhs="tweet",
        operator=Operator.TRANSLATION,
        parameters=[1, 2, 3, 4],
        reciprocal_parameters=[-1, -2, -3, -4],
    ),
]


def _write(root: Path, num_shards: int = 1, keep_last: int = 2) -> str:
    return write_bundle_for_test(
        root,
        {
            "user": TableForTest(ids=_USERS, vectors=_USER_VECTORS),
            "tweet": TableForTest(ids=_TWEETS, vectors=_TWEET_VECTORS),
        },
        _RELATIONS,
        comparator=Comparator.COSINE,
        num_shards=num_shards,
        keep_last=keep_last,
    )


@pytest.mark.parametrize("num_shards", [1, 3])
def test_ids_lead_to_their_vectors(tmp_path: Path, num_shards: int) -> None:
    version = _write(tmp_path, num_shards)

    bundle = Bundle.open(tmp_path)

    users = bundle.find("user", [*_USERS, 1, 2])
    tweets = bundle.find("tweet", ["nobody", *_TWEETS])
    assert bundle.version == version
    assert bundle.entity_types == ("user", "tweet")
    assert (bundle.dim, bundle.comparator) == (4, Comparator.COSINE)
    assert users[200:].tolist() == [-1, -1]
    assert (bundle.vectors("user", users[:200]) == _USER_VECTORS).all()
    assert bundle.vectors("tweet", tweets)[0].tolist() == [0, 0, 0, 0]
    assert (bundle.vectors("tweet", tweets)[1:] == _TWEET_VECTORS).all()
    assert bundle.ids("tweet", tweets[1:]).tolist() == _TWEETS
    assert bundle.holds("user", users).sum() == 200


def test_relations_have_their_parameters(tmp_path: Path) -> None:
    _write(tmp_path)

    relations = Bundle.open(tmp_path).relations

    assert list(relations) == ["follows", "likes"]
    follows, likes = relations["follows"], relations["likes"]
    assert (likes.lhs, likes.rhs) == ("user", "tweet")
    assert likes.operator is Operator.TRANSLATION
    assert likes.parameters.tolist() == [1, 2, 3, 4]
    assert likes.reciprocal_parameters is not None
    assert likes.reciprocal_parameters.tolist() == [-1, -2, -3, -4]
    assert follows.parameters.size == 0
    assert follows.reciprocal_parameters is None


def test_a_range_of_shards_holds_the_ids_of_their_keys(tmp_path: Path) -> None:
    _write(tmp_path, num_shards=4)
    whole = Bundle.open(tmp_path)

    parts = [Bundle.open(tmp_path, shards=(n, n + 1, 2)) for n in range(2)]

    rows = whole.find("user", _USERS)
    shards = id_hash.shards_of_keys(id_hash.int64_keys(_USERS), 4)
    total = parts[0].vectors("user", rows) + parts[1].vectors("user", rows)
    assert [part.shards for part in parts] == [range(2), range(2, 4)]
    assert (parts[0].holds("user", rows) == (shards < 2)).all()
    assert (parts[1].holds("user", rows) == (shards >= 2)).all()
    assert (total == _USER_VECTORS).all()
    assert (parts[1].find("user", _USERS) == rows).all()


@pytest.mark.parametrize(
    ("shards", "reason"),
    [
        ((0, 1, 3), "has 4 shards, which are not divided by 3"),
        ((0, 1, 0), "has 4 shards, which are not divided by 0"),
        ((1, 1, 2), "shards 1 to before 1 of 2; allowed: 0 to 2"),
        ((1, 3, 2), "shards 1 to before 3 of 2; allowed: 0 to 2"),
    ],
)
def test_impossible_ranges_of_shards_are_refused(
    tmp_path: Path, shards: tuple[int, int, int], reason: str
) -> None:
    _write(tmp_path, num_shards=4)

    with pytest.raises(BundleError, match=reason):
        Bundle.open(tmp_path, shards=shards)


def test_unknown_entity_types_are_key_errors(tmp_path: Path) -> None:
    _write(tmp_path)
    bundle = Bundle.open(tmp_path)

    with pytest.raises(KeyError, match="usr"):
        bundle.find("usr", [1])
    with pytest.raises(KeyError, match="usr"):
        bundle.vectors("usr", np.array([1]))


def _data_files(root: Path) -> list[Path]:
    files = [path for path in root.glob("v*/**/*.bin") if path.stat().st_size]
    assert len(files) == 2 + 2 + 4 + 1
    return sorted(files)


def test_a_truncated_or_missing_file_is_refused(tmp_path: Path) -> None:
    _write(tmp_path)
    for path in _data_files(tmp_path):
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(BundleError, match=f"{path.name}: has .* bytes; the manif"):
            Bundle.open(tmp_path)
        path.unlink()
        with pytest.raises(BundleError, match=f"{path.name}: cannot be opened"):
            Bundle.open(tmp_path)
        path.write_bytes(content)

    Bundle.open(tmp_path).verify()


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    _write(tmp_path)
    for path in _data_files(tmp_path):
        content = path.read_bytes()
        damaged = bytearray(content)
        damaged[len(content) // 2] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match=f"{path.name}: is damaged: its CRC-32"):
            Bundle.open(tmp_path).verify()
        path.write_bytes(content)


def test_a_part_verifies_its_own_shards_only(tmp_path: Path) -> None:
    version = _write(tmp_path, num_shards=2)
    path = tmp_path / version / "tables/user/shard-00001-of-00002.bin"
    path.write_bytes(b"\xff" * path.stat().st_size)

    Bundle.open(tmp_path, shards=(0, 1, 2)).verify()

    with pytest.raises(BundleError, match="shard-00001-of-00002"):
        Bundle.open(tmp_path, shards=(1, 2, 2)).verify()


def test_an_open_version_outlives_its_removal(tmp_path: Path) -> None:
    _write(tmp_path)
    bundle = Bundle.open(tmp_path)

    for _ in range(3):
        _write(tmp_path, keep_last=1)

    assert not bundle.folder.exists()
    rows = bundle.find("user", _USERS)
    assert (bundle.vectors("user", rows) == _USER_VECTORS).all()


def test_a_reader_sees_whole_versions_while_they_change(tmp_path: Path) -> None:
    def write(value: int) -> None:
        table = TableForTest(ids=range(8), vectors=np.full((8, 4), value))
        write_bundle_for_test(tmp_path, {"user": table}, keep_last=1)

    seen: list[tuple[str, set[float]]] = []
    failures: list[Exception] = []
    write(1)
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                bundle = Bundle.open(tmp_path)
                rows = bundle.find("user", range(8))
                values = set(bundle.vectors("user", rows).reshape(-1).tolist())
                seen.append((bundle.version, values))
            except BundleError as error:
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for value in range(2, 12):
        write(value)
    done.set()
    reader.join()

    assert failures == []
    assert len({version for version, _ in seen}) > 2
    for version, values in seen:
        assert values == {float(version.removeprefix("v"))}


@pytest.mark.parametrize("row_format", list(RowFormat))
def test_entity_types_may_be_empty(tmp_path: Path, row_format: RowFormat) -> None:
    write_bundle_for_test(
        tmp_path,
        {
            "user": TableForTest(ids=[3], vectors=[[1.0, 2.0]]),
            "item": TableForTest(ids=[], vectors=np.empty((0, 2))),
        },
        num_shards=2,
        row_format=row_format,
    )

    bundle = Bundle.open(tmp_path)
    bundle.verify()
    bundle.warm(lock=False)

    assert bundle.find("item", [3]).tolist() == [-1]
    assert bundle.vectors("item", np.array([-1, 0])).tolist() == [[0, 0], [0, 0]]
    assert bundle.vectors("user", bundle.find("user", [3])) == pytest.approx(
        np.array([[1.0, 2.0]])
    )
