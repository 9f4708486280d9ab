# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks id directories as they are written and read."""

from pathlib import Path

import numpy as np
import pytest

from twhin.bundle import id_hash, id_writer
from twhin.bundle.id_directory import IdDirectory
from twhin.bundle.id_hash import Int64Array
from twhin.bundle.utf8_ids import Utf8Ids
from twhin.errors import BundleError
from twhin.testing.both_loops import both_loops  # noqa: F401  # A fixture.


def _write(
    folder: Path, ids: Int64Array | list[str]
) -> tuple[IdDirectory, id_writer.WrittenIds]:
    given = Utf8Ids.from_strings(ids) if isinstance(ids, list) else ids
    written = id_writer.write_ids(folder, "user", given)
    return IdDirectory(folder, written.entry, len(ids)), written


def test_every_int64_id_is_found_where_it_was_put(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).permutation(20_000) * 977 - 5_000_000

    directory, written = _write(tmp_path, ids)

    rows = directory.find(ids)
    assert written.order[rows].tolist() == list(range(len(ids)))
    assert directory.ids(rows).tolist() == ids.tolist()
    assert not directory.is_string


def test_single_and_many_ids_are_found_alike(tmp_path: Path) -> None:
    ids = np.arange(-500, 500)
    asked = np.arange(-1000, 1000)

    directory, _ = _write(tmp_path, ids)

    many = directory.find(asked)
    assert many.tolist() == [int(directory.find([i])[0]) for i in asked.tolist()]
    assert ((many >= 0) == ((asked >= -500) & (asked < 500))).all()


@pytest.mark.parametrize("rows_per_bucket", [1, 16, 500])
@pytest.mark.parametrize("num_ids", [1, 7, 5000])
def test_rows_are_those_of_a_plain_search_for_the_key(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows_per_bucket: int,
    num_ids: int,
) -> None:
    monkeypatch.setattr(id_writer, "_ROWS_PER_BUCKET", rows_per_bucket)
    ids = np.arange(num_ids) * 3
    asked = np.random.default_rng(1).integers(-10, 3 * num_ids + 10, 6000)

    directory, written = _write(tmp_path, ids)

    keys = id_hash.int64_keys(asked)
    rows = written.keys.searchsorted(keys)
    known = written.keys.take(rows, mode="clip") == keys
    assert directory.find(asked).tolist() == np.where(known, rows, -1).tolist()
    assert directory.find(asked[:20]).tolist() == directory.find(asked)[:20].tolist()
    assert known.any()


def test_ends_of_the_int64_range_are_ids(tmp_path: Path) -> None:
    ids = np.array([-(2**63), 2**63 - 1, 0, -1])

    directory, _ = _write(tmp_path, ids)

    assert directory.ids(directory.find(ids)).tolist() == ids.tolist()
    assert directory.find([1, -2]).tolist() == [-1, -1]


def test_strings_of_1_to_1024_bytes_are_found(tmp_path: Path) -> None:
    ids = ["x" * size for size in range(1, 1025)]
    ids += ["user:7", "user:77", "\u00fc\u00df", "\U0001f600"]

    directory, written = _write(tmp_path, ids)

    rows = directory.find(ids)
    assert written.order[rows].tolist() == list(range(len(ids)))
    assert directory.ids(rows).tolist() == ids
    assert directory.is_string


def test_no_other_string_matches(tmp_path: Path) -> None:
    directory, _ = _write(tmp_path, ["abcdefgh", "abc", "\u00e9"])

    unknown = [
        "",
        "abcd",
        "abcdefghi",
        "ab",
        "abc\0",
        "\0",
        "e",
        "x" * 1025,
        "x" * 9999,
    ]
    assert directory.find(unknown).tolist() == [-1] * len(unknown)
    assert directory.find([*unknown, "abc"])[-1] >= 0


def test_single_and_many_strings_are_found_alike(tmp_path: Path) -> None:
    ids = [f"{'user' * (number % 7)}:{number}" for number in range(300)]
    asked = [*ids, "", "user:1\0", "user:1000", "x" * 200]

    directory, _ = _write(tmp_path, ids)

    many = directory.find(asked).tolist()
    assert many == [int(directory.find([i])[0]) for i in asked]
    assert many == [int(directory.find([i.encode()])[0]) for i in asked]
    assert min(many[:300]) >= 0
    assert many[300:] == [-1] * 4


def test_bytes_stand_for_their_text(tmp_path: Path) -> None:
    directory, _ = _write(tmp_path, ["\u00e9", "b"])

    assert directory.find([b"\xc3\xa9"]).tolist() == directory.find(["\u00e9"]).tolist()
    assert directory.find([b"\xff"]).tolist() == [-1]


def test_an_empty_directory_knows_no_id(tmp_path: Path) -> None:
    directory, _ = _write(tmp_path, np.empty(0, np.int64))
    strings = IdDirectory(
        tmp_path / "s",
        id_writer.write_ids(tmp_path / "s", "user", Utf8Ids.from_strings([])).entry,
        0,
    )

    assert directory.find([1, 2]).tolist() == [-1, -1]
    assert strings.find(["a"]).tolist() == [-1]
    assert directory.find([]).tolist() == []


def test_ids_of_the_wrong_type_are_refused(tmp_path: Path) -> None:
    integers, _ = _write(tmp_path / "i", np.arange(10))
    strings, _ = _write(tmp_path / "s", ["a"])

    with pytest.raises(TypeError, match="expected int64"):
        integers.find(["a"])
    with pytest.raises(TypeError, match="expected int64"):
        integers.find(np.array([0.5]))
    with pytest.raises(TypeError, match="expected strings"):
        strings.find([1])


def test_rows_out_of_range_have_no_id(tmp_path: Path) -> None:
    directory, _ = _write(tmp_path, np.arange(3))

    for row in (-1, 3):
        with pytest.raises(IndexError, match=r"rows: not all in \[0, 3\)"):
            directory.ids([0, row])


@pytest.mark.parametrize("ids", [np.array([7, 3, 7]), ["b", "a", "b"]])
def test_an_id_that_is_there_twice_is_refused(
    tmp_path: Path, ids: Int64Array | list[str]
) -> None:
    with pytest.raises(BundleError, match=r"ids of 'user': ('b'|7) is there"):
        _write(tmp_path, ids)


@pytest.mark.parametrize(
    ("entity_id", "reason"),
    [
        ("", "id 1 has 0 bytes; allowed: 1 to 1024"),
        ("x" * 1025, "id 1 has 1025 bytes; allowed: 1 to 1024"),
        ("a\0b", "id 1 has a NUL; allowed: text without"),
    ],
)
def test_a_string_that_cannot_be_an_id_is_refused(
    tmp_path: Path, entity_id: str, reason: str
) -> None:
    with pytest.raises(BundleError, match=reason):
        _write(tmp_path, ["a", entity_id, "b"])


def test_another_seed_parts_strings_that_share_a_hash(tmp_path: Path) -> None:
    first, second = _colliding_ids()
    ids = ["a", first, second]
    keys = id_hash.string_keys(id_hash.pack_strings([first, second]), 0)
    assert keys[0] == keys[1]

    directory, written = _write(tmp_path, ids)

    assert written.entry.hash_seed == 1
    assert directory.ids(directory.find(ids)).tolist() == ids


def _colliding_ids() -> tuple[str, str]:
    """Returns two strings of two words with the same hash for seed 0.

    Every step of the hash can be undone: the second word of the one follows from
    its first word and the other string. It is text for one first word in 270.
    """
    first = "0" * 16
    multipliers = id_hash.multipliers(2, 0)
    words = id_hash.pack_strings([first])[0]
    total = id_hash.mix(words * multipliers).sum(dtype=np.uint64)
    inverse = np.uint64(pow(int(multipliers[1]), -1, 1 << 64))
    for number in range(1, 100_000):
        head = f"{number:08d}"
        word = id_hash.pack_strings([head])[0]
        rest = total - id_hash.mix(word * multipliers[:1])
        tail = (id_hash.unmix(rest) * inverse).tobytes()
        if tail.isascii() and b"\0" not in tail:
            return first, head + tail.decode()
    raise AssertionError


def test_shard_bounds_are_the_rows_where_shards_change(tmp_path: Path) -> None:
    ids = np.arange(1000)

    _, written = _write(tmp_path, ids)

    bounds = id_writer.shard_bounds(written.keys, 4)
    shards = id_hash.shards_of_keys(written.keys, 4)
    assert bounds[0] == 0
    assert bounds[-1] == 1000
    assert np.diff(bounds).tolist() == np.bincount(shards, minlength=4).tolist()


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    _, written = _write(tmp_path, np.arange(10))
    path = tmp_path / written.entry.keys.path
    path.write_bytes(path.read_bytes()[:-8])

    with pytest.raises(BundleError, match="has 72 bytes; the manifest says 80"):
        IdDirectory(tmp_path, written.entry, 10)


def test_damaged_strings_are_refused(tmp_path: Path) -> None:
    directory, written = _write(tmp_path, ["a", "b"])
    path = tmp_path / written.entry.words.path
    path.write_bytes(b"\xff" * path.stat().st_size)

    with pytest.raises(BundleError, match=r"words\.bin: is damaged: not UTF-8"):
        directory.ids([0])
    assert directory.find(["a", "b"]).tolist() == [-1, -1]
