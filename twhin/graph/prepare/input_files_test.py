# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of finding files: folders, globs, URLs, and files that are not usable."""

import os
from pathlib import Path

import fsspec
import pytest

from twhin.errors import DataError
from twhin.testing.prepare_case import USER_TWEET, PrepareCase

EDGES = [("a", "likes", "t1"), ("b", "likes", "t2"), ("c", "follows", "a")]


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    return PrepareCase(tmp_path)


def train(paths: str) -> str:
    return f"data: {{raw: {{train: {{paths: {paths}}}}}}}"


def test_a_folder_stands_for_its_visible_files(case: PrepareCase) -> None:
    case.write_edges("in/1.parquet", EDGES[:1])
    case.write_edges("in/2.parquet", EDGES[1:])
    case.write_text("in/_SUCCESS", "")
    case.write_text("in/.crc", "x")

    case.prepare(USER_TWEET, train("in"))

    assert case.edges("train") == EDGES


def test_a_file_that_two_paths_name_is_read_once(case: PrepareCase) -> None:
    case.write_edges("in/1.parquet", EDGES)

    case.prepare(USER_TWEET, train("[in, in/1.parquet]"))

    assert case.edges("train") == EDGES


def test_urls_are_read_through_fsspec(case: PrepareCase) -> None:
    content = case.write_edges("local.parquet", EDGES).read_bytes()
    with fsspec.open("memory://bucket/in/1.parquet", "wb") as stream:
        stream.write(content)

    manifest = case.prepare(USER_TWEET, train('"memory://bucket/in/*.parquet"'))

    assert case.edges("train") == EDGES
    assert [file.path for file in manifest.inputs] == ["memory:///bucket/in/1.parquet"]


def test_urls_of_text_files(case: PrepareCase) -> None:
    with fsspec.open("memory://bucket/text/1.csv", "wb") as stream:
        stream.write(b"lhs,rel,rhs\na,likes,t1\nb,likes,t2\nc,follows,a\n")

    case.prepare(USER_TWEET, train('"memory://bucket/text/1.csv"'))

    assert case.edges("train") == EDGES


def test_inputs_are_digested_below_the_root(case: PrepareCase) -> None:
    path = case.write_edges("in/1.parquet", EDGES)

    (before,) = case.prepare(USER_TWEET, train("in")).inputs
    case.write_edges("in/1.parquet", EDGES[::-1])
    (after,) = case.prepare(USER_TWEET, train("in")).inputs

    assert before.path == "in/1.parquet"
    assert after.size_bytes == path.stat().st_size
    assert before.digest != after.digest


@pytest.mark.parametrize("path", ["none.parquet", "none/*.parquet", "memory://none/x"])
def test_a_path_without_files(case: PrepareCase, path: str) -> None:
    with pytest.raises(
        DataError, match=r"^data.raw.train\[0\].paths\[0\]: no file matches '.*none"
    ):
        case.prepare(USER_TWEET, train(f'"{path}"'))


def test_an_empty_file(case: PrepareCase) -> None:
    case.write_text("train.parquet", "")

    with pytest.raises(
        DataError, match=r"train.parquet: empty file; allowed: files with"
    ):
        case.prepare(USER_TWEET, train("train.parquet"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file(case: PrepareCase) -> None:
    case.write_edges("train.parquet", EDGES).chmod(0)

    with pytest.raises(DataError, match=r"train.parquet: cannot be read \(Permission"):
        case.prepare(USER_TWEET, train("train.parquet"))


@pytest.mark.parametrize("keep", [100, 8])
def test_a_truncated_file(case: PrepareCase, keep: int) -> None:
    path = case.write_edges("train.parquet", EDGES)
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(DataError, match=r"train.parquet: cannot be read as parquet"):
        case.prepare(USER_TWEET, train("train.parquet"))
