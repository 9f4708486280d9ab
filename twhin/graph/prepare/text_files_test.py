# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of CSV, TSV and JSON lines, plain and compressed."""

import gzip
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from twhin.errors import DataError
from twhin.testing.prepare_case import USER_TWEET, PrepareCase

LIKES = USER_TWEET.replace("- {name: follows, lhs: user, rhs: user}", "")
CSV = "user,tweet,w\nann,t1,0.5\nbob,t1,2\n"
EXPECTED = [("ann", "likes", "t1"), ("bob", "likes", "t1")]


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    return PrepareCase(tmp_path)


def source(paths: str, more: str = "") -> str:
    mapped = "lhs: user, rhs: tweet, relation: likes"
    return f"data: {{raw: {{train: {{paths: {paths}, {mapped}{more}}}}}}}"


def test_csv_with_a_header(case: PrepareCase) -> None:
    case.write_text("train.csv", CSV)

    case.prepare(LIKES, source("train.csv", ", weight: w"))

    assert case.edges("train") == EXPECTED
    assert sorted(row["weight"] for row in case.rows("train")) == [0.5, 2.0]


def test_csv_without_a_header_takes_the_configured_names(case: PrepareCase) -> None:
    case.write_text("train.csv", CSV.split("\n", 1)[1])

    case.prepare(LIKES, source("train.csv", ", columns: [user, tweet, w]"))

    assert case.edges("train") == EXPECTED


def test_tsv(case: PrepareCase) -> None:
    case.write_text("train.tsv", CSV.replace(",", "\t"))

    case.prepare(LIKES, source("train.tsv"))

    assert case.edges("train") == EXPECTED


def test_quoted_values_may_hold_anything(case: PrepareCase) -> None:
    case.write_text("train.csv", 'user,tweet\n"a, ""b""\nc",t1\n')

    case.prepare(LIKES, source("train.csv"))

    assert case.edges("train") == [('a, "b"\nc', "likes", "t1")]


def test_files_may_order_their_columns_differently(case: PrepareCase) -> None:
    case.write_text("1.csv", "user,tweet\nann,t1\n")
    case.write_text("2.csv", "\ufefftweet,lang,user\nt1,en,bob\n")

    case.prepare(LIKES, source("[1.csv, 2.csv]"))

    assert case.edges("train") == EXPECTED


def test_gzip(case: PrepareCase) -> None:
    (case.folder / "train.csv.gz").write_bytes(gzip.compress(CSV.encode()))

    case.prepare(LIKES, source("train.csv.gz"))

    assert case.edges("train") == EXPECTED


def test_zstandard(case: PrepareCase) -> None:
    with pa.CompressedOutputStream(
        str(case.folder / "train.csv.zst"), "zstd"
    ) as stream:
        stream.write(CSV.encode())

    case.prepare(LIKES, source("train.csv.zst"))

    assert case.edges("train") == EXPECTED


def write_zip(case: PrepareCase, **members: str) -> None:
    with zipfile.ZipFile(
        case.folder / "train.zip", "w", zipfile.ZIP_DEFLATED
    ) as archive:
        for name, text in members.items():
            archive.writestr(f"{name}.csv", text)


def test_zip_with_one_member(case: PrepareCase) -> None:
    write_zip(case, train=CSV)

    case.prepare(LIKES, source("train.zip", ", format: csv"))

    assert case.edges("train") == EXPECTED


def test_zip_with_several_members_is_an_error(case: PrepareCase) -> None:
    write_zip(case, one=CSV, two=CSV)

    with pytest.raises(DataError, match=r"train.zip: holds 2 files, .*exactly one"):
        case.prepare(LIKES, source("train.zip", ", format: csv"))


def test_errors_name_the_zip_and_not_its_copy(case: PrepareCase) -> None:
    write_zip(case, train=CSV.replace("bob", ""))

    with pytest.raises(DataError, match=r"/train.zip: column 'user' is null"):
        case.prepare(LIKES, source("train.zip", ", format: csv"))


def test_json_lines(case: PrepareCase) -> None:
    case.write_text(
        "train.jsonl",
        """\
        {"user": "ann", "tweet": "t1"}
        {"tweet": "t1", "lang": "en", "user": "bob"}
        """,
    )

    case.prepare(LIKES, source("train.jsonl"))

    assert case.edges("train") == EXPECTED


def test_json_line_that_is_no_object_is_an_error(case: PrepareCase) -> None:
    case.write_text("train.jsonl", '{"user": "ann", "tweet": "t1"}\n[1]\n')

    with pytest.raises(
        DataError, match=r"train.jsonl: line 2 is '\[1\]'; allowed: an ob"
    ):
        case.prepare(LIKES, source("train.jsonl"))


def test_filter_sees_columns_that_are_not_mapped(case: PrepareCase) -> None:
    case.write_text("train.csv", CSV)

    manifest = case.prepare(
        LIKES, source("train.csv", ', filter: "CAST(w AS DOUBLE) > 1.5"')
    )

    assert case.edges("train") == EXPECTED[1:]
    assert manifest.splits["train"].num_filtered == 1


def test_text_times_are_integers_or_timestamps(case: PrepareCase) -> None:
    case.write_text("1.csv", "user,tweet,at\nann,t1,1700000000000000\n")
    case.write_text("2.csv", "user,tweet,at\nbob,t1,2023-11-14 22:13:21\n")

    case.prepare(
        LIKES,
        """
        data:
          raw:
            train:
              paths: ["1.csv", "2.csv"]
              lhs: user
              rhs: tweet
              relation: likes
              timestamp: at
            unseen_entities: keep
            holdout: {by_time: true, test_fraction: 0.5}
        """,
    )

    assert case.edges("test") == EXPECTED[1:]


def test_a_missing_column_is_named_with_its_file(case: PrepareCase) -> None:
    case.write_text("train.csv", "usr,tweet\nann,t1\n")

    with pytest.raises(
        DataError,
        match=r"train.csv: no column 'user' for 'lhs'; allowed: one of 'usr', 'tweet';"
        " did you mean 'usr'",
    ):
        case.prepare(LIKES, source("train.csv"))


def test_a_repeated_column_is_an_error(case: PrepareCase) -> None:
    case.write_text("train.csv", "user,tweet,user\nann,t1,x\n")

    with pytest.raises(DataError, match="header names column 'user' twice"):
        case.prepare(LIKES, source("train.csv"))


@pytest.mark.parametrize(
    "text", ["user,tweet\nann,t1\nbob\n", "user,tweet\nann,t1,x,y\n"]
)
def test_lines_of_another_length_are_errors(case: PrepareCase, text: str) -> None:
    case.write_text("train.csv", text)

    with pytest.raises(
        DataError, match=r"/train.csv: a value cannot be read .*Line: [23]"
    ):
        case.prepare(LIKES, source("train.csv"))


def test_text_that_is_not_utf8_is_an_error(case: PrepareCase) -> None:
    (case.folder / "train.csv").write_bytes(b"user,tweet\n\xff\xfe\x80,t1\n")

    with pytest.raises(DataError, match=r"train.csv: cannot be read \('utf-8' codec"):
        case.prepare(LIKES, source("train.csv"))


def test_a_damaged_gzip_is_an_error(case: PrepareCase) -> None:
    whole = gzip.compress(CSV.encode() * 1000)
    (case.folder / "train.csv.gz").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(DataError, match=r"train.csv.gz"):
        case.prepare(LIKES, source("train.csv.gz"))
