# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks what edge files may look like, and where faults are reported."""

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twhin.errors import DataError
from twhin.graph.edge_files import EdgeFiles, read_edges
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema

SCHEMA = GraphSchema(
    entity_types=(EntityTypeSchema(name="entity", num_entities=100),),
    relations=(
        RelationSchema(name="a", lhs="entity", rhs="entity"),
        RelationSchema(name="b", lhs="entity", rhs="entity"),
    ),
)


def write(path: Path, rows: int = 3, row_group_size: int = 2, **columns: Any) -> str:
    """Writes edges i -> i + 1 of relation 0, with columns replaced or added."""
    values = {
        "lhs": list(range(rows)),
        "rel": [0] * rows,
        "rhs": list(range(1, rows + 1)),
        **columns,
    }
    table = pa.table({name: each for name, each in values.items() if each is not None})
    pq.write_table(table, path, row_group_size=row_group_size)
    return str(path)


def test_row_groups_are_listed_file_by_file(tmp_path: Path) -> None:
    paths = [write(tmp_path / "b.parquet"), write(tmp_path / "a.parquet", rows=1)]

    files = EdgeFiles(paths, SCHEMA)

    assert files.paths == tuple(paths)
    assert [(g.file, g.index, g.num_rows) for g in files.row_groups] == [
        (0, 0, 2),
        (0, 1, 1),
        (1, 0, 1),
    ]
    assert files.num_rows == 4


def test_folders_and_globs_stand_for_files_by_name_each_once(tmp_path: Path) -> None:
    second, first = write(tmp_path / "2.parquet"), write(tmp_path / "1.parquet")
    (tmp_path / "_SUCCESS").write_text("not edges")

    assert EdgeFiles([str(tmp_path)], SCHEMA).paths == (first, second)
    found = EdgeFiles([second, str(tmp_path / "*.parquet")], SCHEMA).paths
    assert found == (second, first)


def test_int32_and_float64_are_converted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.parquet",
        lhs=pa.array([5, 6, 7], pa.int32()),
        weight=pa.array([0.1, 1.0, 2.0], pa.float64()),
        note=["not", "an", "edge"],
    )

    edges = read_edges([path], SCHEMA)

    assert edges.lhs.dtype == np.int64
    assert edges.lhs.tolist() == [5, 6, 7]
    assert edges.weight is not None
    assert edges.weight.tolist() == [np.float32(0.1), 1.0, 2.0]


def test_files_behind_an_fsspec_url_are_read() -> None:
    table = pa.table({"lhs": [1, 2], "rel": [0, 1], "rhs": [3, 4]})
    for name in ("a", "b"):
        with fsspec.open(f"memory://edges/{name}.parquet", "wb") as stream:
            pq.write_table(table, stream)

    edges = read_edges(["memory://edges/*.parquet"], SCHEMA)

    assert edges.rhs.tolist() == [3, 4, 3, 4]


def test_relations_are_counted_without_the_other_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", rel=[1, 0, 1], lhs=[-5, -5, -5])

    assert EdgeFiles([path], SCHEMA).count_relations(2).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"rel": None, "relation": [0, 0, 0]},
            "column 'rel' is missing; the columns are 'lhs', 'rhs', 'relation'",
        ),
        (
            {"rhs": ["x", "y", "z"]},
            "column 'rhs' has type 'string'; expected int64 or int32",
        ),
        (
            {"weight": [1, 2, 3]},
            "column 'weight' has type 'int64'; expected float or double",
        ),
    ],
)
def test_wrong_columns_are_found_when_opening(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "a.parquet", **columns)

    with pytest.raises(DataError) as caught:
        EdgeFiles([path], SCHEMA)

    assert str(caught.value).startswith(f"{path}: {message}")


def test_weights_are_in_all_files_or_in_none(tmp_path: Path) -> None:
    with_weight = write(tmp_path / "a.parquet", weight=[1.0, 1.0, 1.0])
    without = write(tmp_path / "b.parquet")

    with pytest.raises(DataError, match=r"b.parquet: column 'weight' is missing"):
        EdgeFiles([with_weight, without], SCHEMA)


def test_null_and_bad_values_are_named_with_file_row_group_and_row(
    tmp_path: Path,
) -> None:
    null = write(tmp_path / "a.parquet", rhs=[1, 2, 3, None], rows=4)
    large = write(tmp_path / "b.parquet", rhs=[1, 2, 3, 100], rows=4)

    with pytest.raises(DataError) as caught:
        read_edges([null], SCHEMA)
    assert str(caught.value) == (
        f"{null}: row group 1, row 1: rhs is null; expected a number"
    )
    with pytest.raises(DataError) as caught:
        read_edges([large], SCHEMA)
    assert str(caught.value) == (
        f"{large}: row group 1, row 1: rhs is 100; the rows of entity type 'entity' are"
        " 0 to 99 (relation 'a')"
    )


def test_files_without_edges_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", lhs=pa.array([], pa.int64()), rows=0)
    # An empty list has no type of its own.
    empty = pa.array([], pa.int64())
    pq.write_table(pa.table({"lhs": empty, "rel": empty, "rhs": empty}), path)

    with pytest.raises(DataError, match=r"a.parquet: no edges; expected at least one"):
        EdgeFiles([path], SCHEMA)
    with pytest.raises(DataError, match="edge files: none given"):
        EdgeFiles([], SCHEMA)


def test_corrupt_and_cut_files_are_named(tmp_path: Path) -> None:
    text, cut = tmp_path / "text.parquet", tmp_path / "cut.parquet"
    text.write_text("lhs,rel,rhs\n1,2,3\n")
    write(cut, rows=1000, row_group_size=1000)
    cut.write_bytes(cut.read_bytes()[:-20])

    for path in (text, cut):
        with pytest.raises(DataError, match=f"{path}: cannot be read: .*; expected a"):
            EdgeFiles([str(path)], SCHEMA)


def test_damaged_page_is_named_when_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(0, 100, 5000) for name in ("lhs", "rhs")}
    write(path, rows=5000, row_group_size=5000, **columns)
    content = bytearray(path.read_bytes())
    content[100:400] = bytes(300)
    path.write_bytes(content)
    files = EdgeFiles([str(path)], SCHEMA)

    with pytest.raises(DataError, match=f"{path}: "):
        files.read(files.row_groups[0])
