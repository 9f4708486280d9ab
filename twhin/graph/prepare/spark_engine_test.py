# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests that Spark, with a local master, prepares what DuckDB prepares."""

import gzip
import shutil
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twhin.errors import ConfigError, DataError
from twhin.graph.manifest import GraphManifest
from twhin.graph.prepare import preparation
from twhin.graph.prepare.dry_run import dry_run
from twhin.graph.prepare.engine import silent
from twhin.testing.prepare_case import USER_TWEET, PrepareCase

pytest.importorskip("pyspark", reason="pyspark is not installed (an optional lock)")
if shutil.which("java") is None:
    pytest.skip("there is no Java", allow_module_level=True)

if TYPE_CHECKING:
    from twhin.graph.prepare.spark_engine import SparkEngine

MEMORY_BYTES = 1 << 30


@pytest.fixture(scope="module", autouse=True)
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps one Spark for all tests: starting it takes seconds."""
    from twhin.graph.prepare import spark_session  # Needs pyspark.

    work = tmp_path_factory.mktemp("spark")
    session = spark_session.start_session(
        "local[2]", work, memory_limit_bytes=MEMORY_BYTES, num_threads=1
    )
    yield
    session.stop()


@pytest.fixture
def case(tmp_path: Path) -> PrepareCase:
    return PrepareCase(tmp_path)


def make_engine(work: Path) -> "SparkEngine":
    from twhin.graph.prepare.spark_engine import SparkEngine  # Needs pyspark.

    return SparkEngine(
        work,
        master="local[2]",
        memory_limit_bytes=MEMORY_BYTES,
        num_threads=1,
        progress=silent,
    )


def prepare_on_spark(case: PrepareCase, *parts: str) -> GraphManifest:
    return preparation.prepare_with(
        case.settings(*parts),
        str(case.folder / "spark"),
        make_engine=make_engine,
        progress=silent,
    )


def check_equal(case: PrepareCase, *parts: str) -> GraphManifest:
    """Prepares with both engines and compares everything that they write."""
    duck = case.prepare(*parts, output="duck")
    spark = prepare_on_spark(case, *parts)

    assert spark.schema == duck.schema
    assert spark.vocabularies == duck.vocabularies
    assert spark.digest == duck.digest
    assert spark.warnings == duck.warnings
    for vocabulary in duck.vocabularies:
        for file in vocabulary.files:
            contents = [
                (case.folder / engine / file.path).read_bytes()
                for engine in ("duck", "spark")
            ]
            assert contents[0] == contents[1]
    for split in ("train", "valid", "test"):
        assert case.rows(split, "duck") == case.rows(split, "spark")
        numbers = [
            (s.num_edges, s.num_input_edges, s.num_filtered, s.num_duplicates)
            for s in (duck.splits[split], spark.splits[split])
        ]
        assert numbers[0] == numbers[1]
    return spark


def test_everything_is_equal_with_string_ids(case: PrepareCase) -> None:
    ids = ["b", "B", "\u00e9", "\U0001f600", "\uffff", "10", "9", "it's", "a\\n", ""]
    edges = [(f"u{i * i % 61}", "likes", f"t{i * 7 % 97}") for i in range(3000)]
    edges += [(a, "follows", b) for a in ids for b in ids]
    case.write_edges("train.parquet", edges)
    case.write_edges("test.parquet", [("b", "follows", "u1"), ("new", "likes", "t1")])

    manifest = check_equal(
        case,
        USER_TWEET,
        """
        data:
          raw:
            train: {paths: train.parquet, sampling_rate: 0.9}
            test: {paths: test.parquet}
            holdout: {valid_fraction: 0.1, test_fraction: 0.1}
        """,
    )

    assert manifest.splits["test"].num_edges > 100


def test_everything_is_equal_with_integers_weights_and_undirected_edges(
    case: PrepareCase,
) -> None:
    numbers = [(i * i % 61 - 30, i * 7 % 37 + 2**40) for i in range(2000)]
    lhs, rhs = zip(*numbers, strict=True)
    weight = [10.0 ** (i % 9 - 4) * 1.1 for i in range(2000)]
    time = [datetime(2020, 1, 1 + i % 28) for i in range(2000)]
    case.write_parquet("train.parquet", a=lhs, b=rhs, w=weight, at=time)

    manifest = check_equal(
        case,
        """
        graph:
          entity_types:
            - {name: user, min_degree: 30, rare_entities: shared_row, max_entities: 40}
          relations: [{name: knows, lhs: user, rhs: user, undirected: true}]
        data:
          raw:
            train:
              {paths: train.parquet, lhs: a, rhs: b, relation: knows, weight: w,
               timestamp: at, filter: "a <> 0"}
            holdout: {valid_fraction: 0.1, test_fraction: 0.1, by_time: true}
            duplicates: sum_weights
            unseen_entities: keep
        """,
    )

    assert manifest.weighted
    assert manifest.splits["train"].num_duplicates > 0
    assert manifest.vocabulary("user").shared_row is not None


def test_everything_is_equal_with_a_base_vocabulary(case: PrepareCase) -> None:
    case.write_edges("train.parquet", [(f"u{i}", "likes", "t") for i in range(9)])
    graph = USER_TWEET.replace("- {name: follows, lhs: user, rhs: user}", "")
    case.prepare(graph, "data: {raw: {train: {paths: train.parquet}}}", output="base")
    case.write_edges("train.parquet", [(f"u{i}", "likes", "t") for i in range(5, 20)])

    manifest = check_equal(
        case,
        graph,
        "data: {raw: {train: {paths: train.parquet}, base_vocabulary: base}}",
    )

    assert manifest.vocabulary("user").num_new == 11
    assert manifest.vocabulary("user").num_gone == 5


def test_everything_is_equal_from_text_files(case: PrepareCase) -> None:
    lines = "".join(f'u{i},"t, {i % 3}",{i + 1}.5\n' for i in range(50))
    case.write_text("a.csv", "lhs,rhs,w\n" + lines)
    text = "rhs,w,lhs\n" + "".join(f"t{i},2,v{i}\n" for i in range(20))
    (case.folder / "b.csv.gz").write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(case.folder / "c.zip", "w") as archive:
        archive.writestr("c.csv", "lhs,rhs,w\nz1,z2,3\n")
    with pa.CompressedOutputStream(case.folder / "d.tsv.zst", "zstd") as stream:
        stream.write(b"z1\tz9\n7\t8\n")
    (case.folder / "e.jsonl").write_text('{"l": "j1", "r": 7}\n{"r": "x", "l": "u1"}\n')

    check_equal(
        case,
        USER_TWEET,
        """
        data:
          raw:
            train:
              - {paths: [a.csv, b.csv.gz, c.zip], relation: likes, weight: w}
              - {paths: d.tsv.zst, columns: [a, b], lhs: a, rhs: b, relation: follows}
              - {paths: e.jsonl, lhs: l, rhs: r, relation: likes}
        """,
    )


def test_files_of_a_source_may_differ_in_layout(case: PrepareCase) -> None:
    case.write_parquet("a/1.parquet", lhs=pa.array([1, 2], pa.int32()), rhs=[1, 1])
    case.write_parquet("a/2 +%.parquet", rhs=[5, 6], lhs=[7, 8], kind=["x", "y"])

    check_equal(
        case,
        USER_TWEET,
        """
        data:
          raw:
            train: {paths: a, relation: likes, filter: "kind = 'x' OR kind IS NULL"}
        """,
    )


def test_partitions_and_row_groups_are_those_of_the_shuffle(case: PrepareCase) -> None:
    case.write_edges("train.parquet", [(i, "likes", i % 9) for i in range(9000)])

    manifest = prepare_on_spark(
        case, USER_TWEET, "data: {raw: {train: {paths: train.parquet}}}"
    )

    (file,) = manifest.splits["train"].files
    metadata = pq.read_metadata(case.folder / "spark" / file.path)
    groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert groups == [4096, 4096, 808]
    lhs = [row["lhs"] for row in case.rows("train", "spark")]
    assert lhs != sorted(lhs)


ERRORS = {
    "null": (
        {"lhs": ["a", None], "rhs": ["t", "t"]},
        "relation: likes",
        r"train.parquet: row 1, column 'lhs' is null; allowed: no null",
    ),
    "filter": (
        {"lhs": ["a"], "rhs": ["t"]},
        'relation: likes, filter: "size > 3"',
        r"data.raw.train\[0\].filter: 'size > 3' cannot be evaluated",
    ),
    "relation": (
        {"lhs": ["a"], "rhs": ["t"], "rel": ["it's"]},
        "rel: rel",
        r"""train.parquet: row 0, column 'rel': unknown relation "it's"; allowed""",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_place(case: PrepareCase, name: str) -> None:
    columns, options, message = ERRORS[name]
    case.write_parquet("train.parquet", **columns)  # type: ignore[arg-type]

    with pytest.raises(DataError, match=message):
        prepare_on_spark(
            case,
            USER_TWEET,
            f"data: {{raw: {{train: {{paths: train.parquet, {options}}}}}}}",
        )
    assert not (case.folder / "spark").exists()


def test_lines_of_another_length_are_errors(case: PrepareCase) -> None:
    case.write_text("train.csv", "lhs,rhs\na,t\nb\nc,t,x\n")

    with pytest.raises(DataError, match=r"train.csv: a value cannot be read \("):
        prepare_on_spark(
            case,
            USER_TWEET,
            "data: {raw: {train: {paths: train.csv, relation: likes}}}",
        )


def test_damaged_pages_name_the_file(case: PrepareCase) -> None:
    path = case.write_edges(
        "train.parquet",
        [(f"u{i * 7919 % 5003}", "likes", f"t{i}") for i in range(5000)],
    )
    content = bytearray(path.read_bytes())
    content[1000:3000] = bytes(2000)
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"train.parquet: damaged \("):
        prepare_on_spark(
            case, USER_TWEET, "data: {raw: {train: {paths: train.parquet}}}"
        )


@pytest.mark.parametrize(
    ("home", "message"),
    [
        (None, "there is no 'java' on the PATH; allowed: Java 17 or newer"),
        ("/nowhere", "there is no 'java' below JAVA_HOME = '/nowhere'; allowed: Java"),
    ],
)
def test_missing_java_is_one_clear_sentence(
    monkeypatch: pytest.MonkeyPatch, home: str | None, message: str
) -> None:
    from twhin.graph.prepare import spark_session  # Needs pyspark.

    monkeypatch.setenv("PATH", "/nowhere")
    if home is None:
        monkeypatch.delenv("JAVA_HOME", raising=False)
    else:
        monkeypatch.setenv("JAVA_HOME", home)

    with pytest.raises(ConfigError, match=message) as caught:
        spark_session.check_java()

    assert "\n" not in str(caught.value)


def test_dry_run_counts_alike(case: PrepareCase) -> None:
    case.write_edges("train.parquet", [(f"u{i}", "likes", "t") for i in range(50)])
    settings = case.settings(
        USER_TWEET.replace("- {name: follows, lhs: user, rhs: user}", ""),
        "data: {raw: {train: {paths: train.parquet}}}",
    )

    result = dry_run(settings, str(case.folder / "out"), make_engine=make_engine)

    assert result.edges["train"] == {"likes": 50}
    assert abs(result.entities[0].num_entities - 50) < 6
    assert result.columns[0].largest == "u9"
