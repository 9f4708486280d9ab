# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Paths below a root, which may be a folder or a URL."""

import pytest

from twhin.config import paths


@pytest.mark.parametrize(
    ("root", "path", "joined"),
    [
        ("/data", "a.csv", "/data/a.csv"),
        ("/data/", "x/../a.csv", "/data/a.csv"),
        ("/data", "/other/a.csv", "/other/a.csv"),
        ("/data", "s3://bucket/*.parquet", "s3://bucket/*.parquet"),
        ("s3://bucket/graph", "a.csv", "s3://bucket/graph/a.csv"),
        ("s3://bucket/graph/", "a.csv", "s3://bucket/graph/a.csv"),
        ("s3://bucket", "/local/a.csv", "/local/a.csv"),
        ("s3://bucket", "gs://other/a", "gs://other/a"),
    ],
)
def test_path_lies_below_the_root_unless_it_is_complete(
    root: str, path: str, joined: str
) -> None:
    assert paths.join(root, path) == joined
