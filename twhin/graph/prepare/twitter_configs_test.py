# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the ready configurations for the published Twitter graphs.

The files are made here, in the layout of the published ones: int64 columns, ids
from 1, no relation column; parquet in several parts, or one zipped CSV.
"""

import random
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twhin.config.resolved_config import DEMO_CONFIG, load_config
from twhin.graph.manifest import GraphManifest
from twhin.graph.prepare import dry_run_report, preparation
from twhin.graph.prepare.dry_run import dry_run
from twhin.graph.prepare.duckdb_engine import DuckDBEngine
from twhin.graph.prepare.engine import silent
from twhin.graph.prepared_graph import PreparedGraph

NUM_EDGES, NUM_USERS, NUM_TWEETS = 4000, 300, 900


def edges(num_rhs: int) -> list[tuple[int, int, int]]:
    """Returns rows of a lhs id, a rhs id and a time; all ids occur, from 1."""
    rng = random.Random(0)
    return [
        (
            1 + (i if i < NUM_USERS else rng.randrange(NUM_USERS)) % NUM_USERS,
            1 + (i if i < num_rhs else rng.randrange(num_rhs)) % num_rhs,
            rng.randrange(1000),
        )
        for i in range(NUM_EDGES)
    ]


def write_parts(folder: Path, rows: list[tuple[int, int, int]], *names: str) -> None:
    """Writes three parquet files with the columns `names`."""
    for part in range(3):
        columns = np.array(rows[part::3], dtype=np.int64).T
        table = pa.table(dict(zip(names, columns, strict=True)))
        pq.write_table(table, folder / f"part-{part}.parquet")


def prepare(name: str, folder: Path, *overrides: str) -> GraphManifest:
    config = load_config(
        DEMO_CONFIG.parent / f"{name}.yaml", [f"data.root={folder}", *overrides]
    )
    return preparation.prepare(
        config.settings,
        str(folder / "prepared"),
        memory_limit_bytes=1 << 28,
        num_threads=1,
    )


def num_rows(manifest: GraphManifest) -> dict[str, int]:
    return {each.name: each.num_entities for each in manifest.schema.entity_types}


def test_follow_graph_is_prepared_from_its_parquet_files(tmp_path: Path) -> None:
    rows = edges(NUM_USERS)
    write_parts(tmp_path, rows, "user_index", "author_index", "time_chunk")

    manifest = prepare("twitter_follow_graph", tmp_path)

    assert num_rows(manifest) == {"user": NUM_USERS}
    assert manifest.warnings == ()
    counts = {name: s.num_input_edges for name, s in manifest.splits.items()}
    assert sum(counts.values()) == NUM_EDGES
    # The latest half per cent, but edges of one time stay together.
    assert 20 <= counts["test"] < 40
    assert 20 <= counts["valid"] + counts["test"] - 20 < 60
    vocabulary = PreparedGraph.open(str(tmp_path / "prepared")).load_vocabulary("user")
    assert set(vocabulary["id"].to_pylist()) == set(range(1, NUM_USERS + 1))


def test_fave_graph_is_prepared_from_its_parquet_files(tmp_path: Path) -> None:
    write_parts(tmp_path, edges(NUM_TWEETS), "user_index", "tweet_index", "time_chunk")

    manifest = prepare("twitter_fave_graph", tmp_path)

    assert num_rows(manifest) == {"user": NUM_USERS, "tweet": NUM_TWEETS}
    assert manifest.splits["train"].num_edges > 3900
    assert manifest.warnings == ()


def test_fave_graph_is_prepared_from_its_zipped_csv(tmp_path: Path) -> None:
    rows = edges(NUM_TWEETS)
    (tmp_path / "parquet").mkdir()
    write_parts(tmp_path / "parquet", rows, "user_index", "tweet_index", "time_chunk")
    text = "user_index,tweet_index,time_chunk\n"
    text += "".join(f"{lhs},{rhs},{time}\n" for lhs, rhs, time in rows)
    with zipfile.ZipFile(tmp_path / "TwitterFaveGraph.csv.zip", "w") as archive:
        archive.writestr("TwitterFaveGraph.csv", text)

    from_parquet = prepare("twitter_fave_graph", tmp_path / "parquet")
    from_csv = prepare(
        "twitter_fave_graph",
        tmp_path,
        'data.raw.train[0].paths="*.csv.zip"',
        "data.raw.train[0].format=csv",
    )

    assert from_csv.schema == from_parquet.schema
    assert from_csv.splits == from_parquet.splits
    assert [v.id_type for v in from_csv.vocabularies] == ["int64", "int64"]
    for entity_type in ("user", "tweet"):
        tables = [
            PreparedGraph.open(str(folder / "prepared")).load_vocabulary(entity_type)
            for folder in (tmp_path, tmp_path / "parquet")
        ]
        assert tables[0].equals(tables[1])


@pytest.fixture
def swapped(tmp_path: Path) -> Path:
    """A folder with a fave graph whose column names are swapped against the data."""
    write_parts(tmp_path, edges(NUM_TWEETS), "tweet_index", "user_index", "time_chunk")
    return tmp_path


def test_dry_run_shows_swapped_columns(swapped: Path) -> None:
    settings = load_config(
        DEMO_CONFIG.parent / "twitter_fave_graph.yaml", [f"data.root={swapped}"]
    ).settings

    result = dry_run(
        settings,
        str(swapped / "prepared"),
        make_engine=lambda work: DuckDBEngine(
            work, memory_limit_bytes=1 << 28, num_threads=1, progress=silent
        ),
    )

    found = {each.column: (each.num_ids, each.largest) for each in result.columns}
    # Fewer tweets than users: what the comment in the configuration tells to look at.
    assert abs(found["tweet_index"][0] - NUM_USERS) < NUM_USERS / 10
    assert abs(found["user_index"][0] - NUM_TWEETS) < NUM_TWEETS / 10
    assert found["user_index"][1] == str(NUM_TWEETS)
    text = "\n".join(table.render() for table in dry_run_report.describe(result))
    assert "user_index   user" in text


def test_swapped_columns_are_mapped_back_by_two_overrides(swapped: Path) -> None:
    wrong = prepare("twitter_fave_graph", swapped)
    # Sizes come from the data: no bound of the published card is assumed.
    assert num_rows(wrong) == {"user": NUM_TWEETS, "tweet": NUM_USERS}

    right = prepare(
        "twitter_fave_graph",
        swapped,
        "data.raw.train[0].lhs=tweet_index",
        "data.raw.train[0].rhs=user_index",
    )

    assert num_rows(right) == {"user": NUM_USERS, "tweet": NUM_TWEETS}
    assert len(right.warnings) == 1
    assert right.warnings[0].endswith("are the columns swapped?")
