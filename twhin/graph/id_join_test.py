# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that rows are joined by id, for every kind of id."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twhin.errors import DataError
from twhin.graph.id_join import iterate_ids, join_rows, join_vectors
from twhin.testing.prepare_case import USER_TWEET, Edge, PrepareCase

DATA = "data: {raw: {train: {paths: %s.parquet}}}"


def prepare(case: PrepareCase, name: str, edges: list[Edge]) -> None:
    case.write_edges(f"{name}.parquet", edges)
    case.prepare(USER_TWEET, DATA % name, output=name)


def likes(pairs: str) -> list[Edge]:
    """Returns edges of "ab cd": user a likes tweet b, user c likes tweet d."""
    return [(pair[0], "likes", pair[1]) for pair in pairs.split()] + [
        ("a", "follows", "a")
    ]


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    case = PrepareCase(tmp_path)
    prepare(case, "old", likes("ax ax ax bx bx cy"))
    prepare(case, "new", likes("cx cx cx dz ax"))
    return case


def test_rows_are_joined_by_id(case: PrepareCase) -> None:
    old, new = case.graph("old"), case.graph("new")
    old_ids = case.vocabulary("user", "old")
    new_ids = case.vocabulary("user", "new")
    assert sorted(old_ids) == ["a", "b", "c"]
    assert sorted(new_ids) == ["a", "c", "d"]

    rows = join_rows(old, new, "user", range(3))

    wanted = [old_ids.index(i) if i in old_ids else -1 for i in new_ids]
    assert rows.tolist() == wanted
    assert join_rows(old, new, "user", range(1, 3)).tolist() == wanted[1:]
    assert join_rows(old, new, "user", range(2, 2)).tolist() == []


def test_integer_ids_are_joined(tmp_path: Path) -> None:
    case = PrepareCase(tmp_path)
    prepare(case, "old", [(2**40, "likes", 5), (7, "likes", 5), (1, "follows", 7)])
    prepare(case, "new", [(7, "likes", 6), (-3, "likes", 6), (1, "follows", 7)])
    old_ids, new_ids = (case.vocabulary("user", name) for name in ("old", "new"))

    rows = join_rows(case.graph("old"), case.graph("new"), "user", range(len(new_ids)))

    assert rows.tolist() == [old_ids.index(i) if i in old_ids else -1 for i in new_ids]
    assert -1 in rows


def test_ids_of_other_types_cannot_be_joined(case: PrepareCase) -> None:
    prepare(case, "numbers", [(1, "likes", 2), (1, "follows", 1)])

    with pytest.raises(DataError, match=r"'user' are of type 'int64'; .* 'string'"):
        join_rows(case.graph("numbers"), case.graph("new"), "user", range(3))


def test_entity_type_that_was_not_there_is_new(case: PrepareCase) -> None:
    case.write_edges("users.parquet", [("a", "follows", "c")])
    case.prepare(
        """
        graph:
          entity_types: [{name: user}]
          relations: [{name: follows, lhs: user, rhs: user}]
        """,
        DATA % "users",
        output="users",
    )

    rows = join_rows(case.graph("users"), case.graph("new"), "tweet", range(2))

    assert rows.tolist() == [-1, -1]


def test_shared_rows_are_joined(tmp_path: Path) -> None:
    case = PrepareCase(tmp_path)
    shared = USER_TWEET.replace(
        "{name: user}", "{name: user, min_degree: 2, rare_entities: shared_row}"
    )
    for name, pairs in (("old", "ax ax bx bx cy"), ("new", "bx bx dz")):
        case.write_edges(f"{name}.parquet", likes(pairs))
        case.prepare(shared, DATA % name, output=name)
    old, new = case.graph("old"), case.graph("new")
    assert new.manifest is not None
    assert old.manifest is not None
    number = new.schema.num_entities("user")

    rows = join_rows(old, new, "user", range(number))

    assert rows[new.manifest.vocabulary("user").shared_row] == (
        old.manifest.vocabulary("user").shared_row
    )


def test_ids_come_in_the_order_of_the_rows(
    case: PrepareCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twhin.graph.id_join._BATCH_ROWS", 2)
    ids = case.vocabulary("user", "new")

    assert list(iterate_ids(case.graph("new"), "user", range(3))) == [
        (0, ids[:2]),
        (2, ids[2:]),
    ]
    assert list(iterate_ids(case.graph("new"), "user", range(1, 2))) == [(1, ids[1:2])]


def test_vectors_are_joined(case: PrepareCase) -> None:
    case.write_parquet(
        "vectors.parquet",
        entity_type=["user", "tweet", "user", "user"],
        id=["d", "d", "nobody", "a"],
        vector=[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]],
    )
    ids = case.vocabulary("user", "new")

    ((rows, vectors),) = join_vectors(
        [str(case.folder / "vectors.parquet")],
        case.graph("new"),
        "user",
        range(3),
        2,
    )

    assert vectors.dtype == np.float32
    found = {
        ids[row]: vector.tolist() for row, vector in zip(rows, vectors, strict=True)
    }
    assert found == {"d": [1.0, 2.0], "a": [7.0, 8.0]}


def test_damaged_vocabulary_is_named(case: PrepareCase) -> None:
    old = case.graph("old")
    (file,) = (case.folder / "old" / "vocabulary" / "user").iterdir()
    file.write_bytes(b"x" * file.stat().st_size)

    with pytest.raises(DataError, match="/old: cannot be read"):
        join_rows(old, case.graph("new"), "user", range(3))
    with pytest.raises(DataError, match=file.name):
        list(iterate_ids(old, "user", range(3)))


def test_damaged_vectors_are_named(case: PrepareCase) -> None:
    case.write_text("vectors.parquet", "no parquet")

    with pytest.raises(DataError, match=r"vectors.parquet: cannot be read"):
        list(
            join_vectors(
                [str(case.folder / "vectors.parquet")],
                case.graph("new"),
                "user",
                range(3),
                2,
            )
        )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["d"], "vector": [[1.0, 2.0]]}, "column 'entity_type' is missing"),
        (
            {"entity_type": ["user"], "id": ["d"], "vector": [[1.0]]},
            "a vector has 1 numbers; allowed: 2",
        ),
        (
            {"entity_type": ["user"], "id": [4], "vector": [[1.0, 2.0]]},
            "'user' are of type 'int64'",
        ),
        (
            {"entity_type": ["user"], "id": ["d"], "vector": [[1.0, float("nan")]]},
            "not finite",
        ),
        (
            {
                "entity_type": ["user"],
                "id": ["d"],
                "vector": pa.array([[1.0, None]], pa.list_(pa.float64())),
            },
            "not finite",
        ),
    ],
)
def test_unusable_vectors_are_refused(
    case: PrepareCase, columns: dict[str, object], message: str
) -> None:
    case.write_parquet("vectors.parquet", **columns)

    with pytest.raises(DataError, match=message):
        list(
            join_vectors(
                [str(case.folder / "vectors.parquet")],
                case.graph("new"),
                "user",
                range(3),
                2,
            )
        )
