# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that versions appear complete, and that only old ones go."""

import os
from pathlib import Path

import pytest

from twhin.bundle import versions
from twhin.bundle.bundle import Bundle
from twhin.bundle.new_version import NewVersion, incomplete_folder
from twhin.errors import BundleError
from twhin.testing.small_bundle import TableForTest, write_bundle_for_test
from twhin.v1 import bundle_pb2


def _write(root: Path, value: float = 0.0, keep_last: int = 2) -> str:
    table = TableForTest(ids=[1], vectors=[[value]])
    return write_bundle_for_test(root, {"user": table}, keep_last=keep_last)


def test_versions_count_up_and_the_last_ones_stay(tmp_path: Path) -> None:
    names = [_write(tmp_path) for _ in range(4)]

    assert names == ["v000001", "v000002", "v000003", "v000004"]
    assert versions.list_versions(tmp_path) == ("v000003", "v000004")
    assert versions.current_version(tmp_path) == "v000004"
    assert sorted(os.listdir(tmp_path)) == [".lock", "current", "v000003", "v000004"]


def test_the_version_in_use_is_never_removed(tmp_path: Path) -> None:
    for _ in range(3):
        _write(tmp_path, keep_last=9)
    versions.set_current(tmp_path, "v000001")

    removed = versions.remove_old_versions(tmp_path, 1)

    assert removed == ("v000002",)
    assert versions.list_versions(tmp_path) == ("v000001", "v000003")
    assert Bundle.open(tmp_path).version == "v000001"


def test_the_next_number_is_larger_than_any(tmp_path: Path) -> None:
    _write(tmp_path)
    (tmp_path / "v000041").mkdir()
    (tmp_path / "v7").mkdir()

    assert _write(tmp_path) == "v000042"
    assert versions.list_versions(tmp_path) == ("v000001", "v000042")


def test_set_current_names_a_complete_version_only(tmp_path: Path) -> None:
    _write(tmp_path)
    (tmp_path / "v000009").mkdir()

    for name in ("v000009", "v000002", "../v000001", ""):
        with pytest.raises(BundleError, match="has no version"):
            versions.set_current(tmp_path, name)
    assert versions.current_version(tmp_path) == "v000001"


@pytest.mark.parametrize("content", [b"", b"v1\n", b"../v000001\n", b"\xff\n"])
def test_a_damaged_current_file_is_refused(tmp_path: Path, content: bytes) -> None:
    _write(tmp_path)
    (tmp_path / "current").write_bytes(content)

    with pytest.raises(BundleError, match="allowed: a version like 'v000001'"):
        Bundle.open(tmp_path)


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle; allowed: a folder with"):
        Bundle.open(tmp_path)
    with pytest.raises(BundleError, match="cannot be read: No such file"):
        versions.current_version(tmp_path)
    with pytest.raises(BundleError, match="cannot be read: No such file"):
        versions.list_versions(tmp_path / "absent")


def test_only_one_process_writes_at_a_time(tmp_path: Path) -> None:
    with NewVersion(tmp_path) as first:
        (first.folder / "file").touch()
        with pytest.raises(BundleError, match="another export is writing a version"):
            NewVersion(tmp_path).__enter__()
        assert (first.folder / "file").exists()

    with NewVersion(tmp_path) as second:
        assert list(second.folder.iterdir()) == []


def test_a_failed_version_leaves_nothing(tmp_path: Path) -> None:
    _write(tmp_path)

    def fail() -> None:
        with NewVersion(tmp_path) as version:
            (version.folder / "file").touch()
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        fail()

    assert not incomplete_folder(tmp_path).exists()
    assert versions.list_versions(tmp_path) == ("v000001",)


def test_what_a_killed_export_left_is_no_version(tmp_path: Path) -> None:
    _write(tmp_path)
    left = incomplete_folder(tmp_path) / "tables"
    left.mkdir(parents=True)
    trash = tmp_path / ".trash-v000000" / "tables"
    trash.mkdir(parents=True)

    assert Bundle.open(tmp_path).version == "v000001"
    with pytest.raises(BundleError, match="no bundle"):
        Bundle.open(incomplete_folder(tmp_path))

    assert _write(tmp_path) == "v000002"
    assert not left.exists()
    assert not trash.exists()


def test_a_wrong_manifest_is_not_published(tmp_path: Path) -> None:
    _write(tmp_path)

    with (
        pytest.raises(BundleError, match=r"manifest\.json: num_shards: is 0"),
        NewVersion(tmp_path) as version,
    ):
        version.publish(bundle_pb2.BundleManifest(), keep_last=1)

    assert versions.list_versions(tmp_path) == ("v000001",)


def test_a_root_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(BundleError, match=r"file/root: cannot be written: Not a dir"):
        NewVersion(file / "root").__enter__()
