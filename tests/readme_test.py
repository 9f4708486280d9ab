# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Runs README.md: its commands, its configuration and its lines of Python."""

import gzip
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests import documents
from tests.shown_commands import check_page
from tools.lint import workspace

# build: needs //twhin/bin:export
# build: needs //twhin/bin:train
# build: needs //twhin/client:open_source

_README = workspace.root() / "README.md"


def test_every_command_works_and_prints_what_the_page_shows(tmp_path: Path) -> None:
    _write_edges(tmp_path)
    (config,) = [b.text for b in documents.blocks(_README) if b.kind == "yaml"]
    (tmp_path / "shop.yaml").write_text(config)

    num_run, num_compared = check_page(_README, tmp_path)

    assert num_run >= 3
    assert num_compared >= 2
    assert len(config.splitlines()) <= 20


def _write_edges(folder: Path) -> None:
    """Writes the files that the page takes for those of its reader."""
    draw = random.Random(0)
    pairs = [
        (f"user_{draw.randrange(100)}", f"sku_{draw.randrange(200)}")
        for _ in range(2000)
    ]
    users, items = zip(*pairs, strict=True)
    pq.write_table(
        pa.table({"user_id": users, "sku": items}), folder / "purchases.parquet"
    )
    with gzip.open(folder / "views-1.csv.gz", "wt") as file:
        file.write("uid,sku\n")
        file.writelines(f"{user},{item}\n" for user, item in pairs[::-1])
