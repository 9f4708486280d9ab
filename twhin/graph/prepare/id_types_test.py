# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the type of ids over several files."""

from pathlib import Path

import pyarrow as pa
import pytest

from twhin.errors import DataError
from twhin.testing.prepare_case import USER_TWEET, PrepareCase

TWO_SOURCES = """
    data:
      raw:
        train:
          - {paths: one.FORMAT, relation: likes}
          - {paths: two.FORMAT, relation: likes}
    """
LIKES = USER_TWEET.replace("- {name: follows, lhs: user, rhs: user}", "")


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    return PrepareCase(tmp_path)


def test_integers_of_any_width_are_one_type(case: PrepareCase) -> None:
    case.write_parquet("one.parquet", lhs=pa.array([1], pa.int8()), rhs=[2])
    case.write_parquet("two.parquet", lhs=pa.array([1], pa.uint64()), rhs=[2])

    case.prepare(LIKES, TWO_SOURCES.replace("FORMAT", "parquet"))

    assert case.vocabulary("user") == [1]


def test_integers_of_several_widths_in_one_source(case: PrepareCase) -> None:
    case.write_parquet("one.parquet", lhs=pa.array([1], pa.int8()), rhs=[2])
    case.write_parquet("two.parquet", lhs=pa.array([2**40], pa.int64()), rhs=[2])

    case.prepare(LIKES, 'data: {raw: {train: {paths: "*.parquet", relation: likes}}}')

    assert case.vocabulary("user") == [1, 2**40]


def test_an_integer_beyond_int64_is_an_error(case: PrepareCase) -> None:
    case.write_parquet("one.parquet", lhs=pa.array([2**63], pa.uint64()), rhs=[2])

    with pytest.raises(DataError, match="9223372036854775808"):
        case.prepare(
            LIKES, "data: {raw: {train: {paths: one.parquet, relation: likes}}}"
        )


def test_dictionary_encoded_strings_are_strings(case: PrepareCase) -> None:
    lhs = pa.array(["x", "y", "x"]).dictionary_encode()
    case.write_parquet("one.parquet", lhs=lhs, rhs=[2, 2, 2])

    case.prepare(LIKES, "data: {raw: {train: {paths: one.parquet, relation: likes}}}")

    assert case.vocabulary("user") == ["x", "y"]


def test_ids_that_differ_only_in_type_are_an_error_across_sources(
    case: PrepareCase,
) -> None:
    case.write_parquet("one.parquet", lhs=[1], rhs=[2])
    case.write_parquet("two.parquet", lhs=["1"], rhs=[2])

    with pytest.raises(
        DataError,
        match=r"data.raw.train\[1\]: column 'lhs' of '.*two.parquet' has string ids of"
        r" entity type 'user'; allowed: int64, as in column 'lhs' of '.*one.parquet'",
    ):
        case.prepare(LIKES, TWO_SOURCES.replace("FORMAT", "parquet"))


def test_ids_that_differ_only_in_type_are_an_error_across_files(
    case: PrepareCase,
) -> None:
    case.write_parquet("one.parquet", lhs=[1], rhs=[2])
    case.write_parquet("two.parquet", lhs=["1"], rhs=[2])

    with pytest.raises(
        DataError, match=r"two.parquet: column 'lhs' holds strings; allowed: integers"
    ):
        case.prepare(
            LIKES, 'data: {raw: {train: {paths: "*.parquet", relation: likes}}}'
        )


def test_text_ids_are_integers_if_all_look_so(case: PrepareCase) -> None:
    case.write_text("one.csv", "lhs,rhs\n7,x\n-3,07\n")
    case.write_text("two.csv", "lhs,rhs\n0,8\n")

    case.prepare(LIKES, TWO_SOURCES.replace("FORMAT", "csv"))

    assert case.vocabulary("user") == [-3, 0, 7]
    assert case.vocabulary("tweet") == ["07", "8", "x"]


@pytest.mark.parametrize("odd", ["07", "+7", "7.0", "1e3", " 7", "9223372036854775808"])
def test_text_that_is_not_an_integer_as_printed_is_a_string(
    case: PrepareCase, odd: str
) -> None:
    case.write_text("one.csv", f"lhs,rhs\n7,1\n{odd},1\n")

    case.prepare(LIKES, "data: {raw: {train: {paths: one.csv, relation: likes}}}")

    assert case.vocabulary("user") == sorted(["7", odd])


def test_text_ids_follow_parquet_files(case: PrepareCase) -> None:
    case.write_parquet("one.parquet", lhs=["7"], rhs=[1])
    case.write_text("two.csv", "lhs,rhs\n7,1\n")

    case.prepare(
        LIKES,
        """
        data:
          raw:
            train:
              - {paths: one.parquet, relation: likes}
              - {paths: two.csv, relation: likes}
        """,
    )

    assert case.edges("train") == [("7", "likes", 1)] * 2


def test_text_ids_that_cannot_follow_parquet_files_are_an_error(
    case: PrepareCase,
) -> None:
    case.write_parquet("one.parquet", lhs=[7], rhs=[1])
    case.write_text("two.csv", "lhs,rhs\n7,1\nx7,1\n")

    with pytest.raises(
        DataError, match=r"two.csv: column 'lhs' is 'x7'; allowed: integers, like the"
    ):
        case.prepare(
            LIKES,
            """
            data:
              raw:
                train:
                  - {paths: one.parquet, relation: likes}
                  - {paths: two.csv, relation: likes}
            """,
        )
