# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that searches find the best rows, exactly and through indexes."""

from pathlib import Path

import numpy as np
import pytest

from twhin.bundle.bundle import Bundle
from twhin.bundle.kinds import IndexKind
from twhin.bundle.row_format import RowFormat
from twhin.errors import BundleError
from twhin.retrieval import comparators, exact_search
from twhin.retrieval.operators import Floats, Query
from twhin.retrieval.retriever import Retriever
from twhin.scoring import Comparator
from twhin.testing.small_bundle import TableForTest, write_bundle_for_test
from twhin.testing.small_index import add_index_for_test

_NUM_ROWS = 1500
_DIM = 8
_VECTORS = np.random.default_rng(0).normal(size=(_NUM_ROWS, _DIM)).astype(np.float32)
_QUERIES = np.random.default_rng(1).normal(size=(7, _DIM)).astype(np.float32)
_INDEXED = [c for c in Comparator if c is not Comparator.NEGATIVE_L1]
_KINDS = {
    IndexKind.EXACT_FP16: (0, 0),
    IndexKind.IVF_FP16: (8, 8),
    IndexKind.IVF_PQ: (8, 8),
}


def _open(
    folder: Path,
    comparator: Comparator = Comparator.DOT,
    *,
    kind: IndexKind | None = None,
    num_shards: int = 1,
    vectors: Floats = _VECTORS,
    row_format: RowFormat = RowFormat.FLOAT32,
    shards: tuple[int, int, int] | None = None,
) -> tuple[Bundle, Retriever]:
    write_bundle_for_test(
        folder,
        {"user": TableForTest(ids=range(len(vectors)), vectors=vectors)},
        comparator=comparator,
        num_shards=num_shards,
        row_format=row_format,
    )
    if kind is not None:
        num_lists, num_probes = _KINDS[kind]
        add_index_for_test(
            folder, "user", kind, num_lists=num_lists, num_probes=num_probes
        )
    bundle = Bundle.open(folder, shards=shards)
    return bundle, Retriever(bundle)


def _best(
    comparator: Comparator, k: int, vectors: Floats = _VECTORS
) -> tuple[list[list[int]], Floats]:
    """Returns the ids of the best vectors for each query, and their scores."""
    scores = comparators.pairwise(comparator, _QUERIES, vectors)
    order = np.argsort(-scores, axis=1)[:, :k]
    return order.tolist(), np.take_along_axis(scores, order, axis=1)


@pytest.mark.parametrize("comparator", list(Comparator))
@pytest.mark.parametrize("num_shards", [1, 3])
def test_exact_search_finds_the_best(
    tmp_path: Path, comparator: Comparator, num_shards: int
) -> None:
    bundle, retriever = _open(tmp_path, comparator, num_shards=num_shards)

    found = retriever.search("user", Query(vectors=_QUERIES), 10)

    ids, scores = _best(comparator, 10)
    assert [bundle.ids("user", rows).tolist() for rows in found.rows] == ids
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4, atol=1e-4)
    assert found.counts.tolist() == [10] * 7


def test_shards_and_blocks_change_no_result_of_exact_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Groups of four rows whose scores differ by less than their rounding.
    generator = np.random.default_rng(5)
    directions = generator.normal(size=(200, 64)).astype(np.float32)
    vectors = directions.repeat(4, axis=0)
    vectors += np.spacing(vectors) * generator.integers(-1, 2, vectors.shape)
    queries = generator.normal(size=(50, 64)).astype(np.float32)
    results = []
    for number, (num_shards, block_rows) in enumerate([(1, 1000), (1, 37), (3, 500)]):
        monkeypatch.setattr(exact_search, "_BLOCK_NUMBERS", 64 * block_rows)
        _, retriever = _open(
            tmp_path / str(number), num_shards=num_shards, vectors=vectors
        )
        results.append(retriever.search("user", Query(vectors=queries), 10))

    for other in results[1:]:
        assert other.rows.tolist() == results[0].rows.tolist()
        assert other.scores.tolist() == results[0].scores.tolist()


@pytest.mark.parametrize("kind", list(IndexKind))
@pytest.mark.parametrize("comparator", _INDEXED)
@pytest.mark.parametrize("num_shards", [1, 2])
def test_indexes_find_the_best_when_they_visit_all(
    tmp_path: Path, kind: IndexKind, comparator: Comparator, num_shards: int
) -> None:
    _, retriever = _open(tmp_path, comparator, kind=kind, num_shards=num_shards)
    query = Query(vectors=_QUERIES)

    found = retriever.search("user", query, 20)

    exact = retriever.search("user", query, 20, exact=True)
    same = np.mean(
        [np.isin(*rows).mean() for rows in zip(found.rows, exact.rows, strict=True)]
    )
    # 2 bytes a row of 8 numbers leave enough to find most of the best.
    assert same >= (0.9 if kind is IndexKind.IVF_PQ else 1.0)
    if kind is not IndexKind.IVF_PQ:
        # The scores are those of the stored rows, not the index's.
        assert (found.scores == exact.scores).all()
    assert retriever.is_indexed("user")
    assert retriever.size_bytes > 0


def test_queries_through_a_relation_visit_as_many_lists_as_they_need(
    tmp_path: Path,
) -> None:
    bundle, _ = _open(tmp_path, kind=IndexKind.IVF_FP16)
    bundle.manifest.indexes[0].relation_num_probes = 1
    retriever = Retriever(bundle)

    related = retriever.search("user", Query(vectors=_QUERIES, is_related=True), 20)

    query = Query(vectors=_QUERIES)
    one_list = retriever.search("user", query, 20, num_probes=1)
    assert related.rows.tolist() == one_list.rows.tolist()
    assert related.rows.tolist() != retriever.search("user", query, 20).rows.tolist()


@pytest.mark.parametrize("kind", [None, *IndexKind])
@pytest.mark.parametrize("num_shards", [1, 2])
def test_excluded_rows_are_replaced_by_the_next(
    tmp_path: Path, kind: IndexKind | None, num_shards: int
) -> None:
    _, retriever = _open(tmp_path, kind=kind, num_shards=num_shards)
    query = Query(vectors=_QUERIES)
    before = retriever.search("user", query, 20)
    exclude = np.concatenate([before.rows[:, :10].reshape(-1), [-1, -1]])

    found = retriever.search("user", query, 10, exclude=exclude)

    expected = [
        r[~np.isin(r, exclude)][:10].tolist()
        for r in retriever.search("user", query, 100).rows
    ]
    assert not np.isin(found.rows, exclude).any()
    assert found.counts.tolist() == [10] * 7
    if kind is not IndexKind.IVF_PQ:
        assert found.rows.tolist() == expected


@pytest.mark.parametrize("kind", [None, IndexKind.EXACT_FP16])
def test_scores_below_the_bound_are_left_out(
    tmp_path: Path, kind: IndexKind | None
) -> None:
    _, retriever = _open(tmp_path, kind=kind)
    query = Query(vectors=_QUERIES)
    bound = float(retriever.search("user", query, 5).scores[0, 4])

    found = retriever.search("user", query, 10, min_score=bound)

    assert found.counts[0] == 5
    assert found.rows[0, 5:].tolist() == [-1] * 5
    assert np.isneginf(found.scores[0, 5:]).all()
    assert (found.scores[found.rows >= 0] >= bound).all()


def test_bias_moves_scores_and_not_ranks(tmp_path: Path) -> None:
    _, retriever = _open(tmp_path)
    bias = np.arange(7, dtype=np.float32)

    plain = retriever.search("user", Query(vectors=_QUERIES), 5)
    moved = retriever.search("user", Query(vectors=_QUERIES, bias=bias), 5)

    assert (moved.rows == plain.rows).all()
    np.testing.assert_allclose(moved.scores, plain.scores + bias[:, None], rtol=1e-6)


@pytest.mark.parametrize("kind", [None, IndexKind.EXACT_FP16])
def test_more_than_all_gives_all(tmp_path: Path, kind: IndexKind | None) -> None:
    vectors = _VECTORS[:6]
    bundle, retriever = _open(tmp_path, kind=kind, vectors=vectors, num_shards=3)

    found = retriever.search("user", Query(vectors=_QUERIES), 10, exclude=np.array([2]))

    assert found.counts.tolist() == [5] * 7
    for rows in found.rows:
        assert sorted(rows[:5].tolist()) == [0, 1, 3, 4, 5]
        assert rows[5:].tolist() == [-1] * 5
    assert bundle.tables["user"].num_rows == 6


def test_equal_scores_come_in_the_order_of_rows(tmp_path: Path) -> None:
    _, retriever = _open(tmp_path, vectors=np.ones((50, _DIM), np.float32))

    found = retriever.search("user", Query(vectors=_QUERIES), 50)

    assert found.rows.tolist() == [list(range(50))] * 7


@pytest.mark.parametrize("kind", [None, IndexKind.IVF_FP16])
def test_parts_together_find_what_the_whole_finds(
    tmp_path: Path, kind: IndexKind | None
) -> None:
    query = Query(vectors=_QUERIES)
    _, whole = _open(tmp_path, kind=kind, num_shards=4)
    expected = whole.search("user", query, 10)

    bundles = [Bundle.open(tmp_path, shards=(n, n + 1, 2)) for n in range(2)]
    parts = [Retriever(bundle).search("user", query, 10) for bundle in bundles]

    scores = np.concatenate([part.scores for part in parts], axis=1)
    rows = np.concatenate([part.rows for part in parts], axis=1)
    order = np.argsort(-scores, axis=1)[:, :10]
    assert (np.take_along_axis(rows, order, axis=1) == expected.rows).all()


@pytest.mark.parametrize("row_format", [RowFormat.FLOAT16, RowFormat.INT8])
def test_scores_are_of_the_rows_as_they_are_stored(
    tmp_path: Path, row_format: RowFormat
) -> None:
    bundle, retriever = _open(
        tmp_path, kind=IndexKind.EXACT_FP16, row_format=row_format
    )
    query = Query(vectors=_QUERIES)

    found = retriever.search("user", query, 10)

    stored = bundle.vectors("user", found.rows.reshape(-1)).reshape(7, 10, _DIM)
    expected = comparators.elementwise(Comparator.DOT, _QUERIES, stored)
    np.testing.assert_allclose(found.scores, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [None, IndexKind.EXACT_FP16, IndexKind.IVF_FP16])
def test_queries_that_are_no_numbers_find_nothing(
    tmp_path: Path, kind: IndexKind | None
) -> None:
    _, retriever = _open(tmp_path, kind=kind)
    queries = _QUERIES.copy()
    queries[1, 3] = np.nan

    found = retriever.search("user", Query(vectors=queries), 10)

    assert found.counts.tolist() == [10, 0, 10, 10, 10, 10, 10]
    assert found.rows[1].tolist() == [-1] * 10


def test_no_queries_give_no_rows(tmp_path: Path) -> None:
    _, retriever = _open(tmp_path, kind=IndexKind.EXACT_FP16)

    for exact in (False, True):
        found = retriever.search("user", Query(vectors=_QUERIES[:0]), 10, exact=exact)
        assert found.rows.shape == (0, 10)


def test_an_index_of_another_table_is_refused(tmp_path: Path) -> None:
    small, _ = _open(tmp_path / "a", kind=IndexKind.EXACT_FP16, vectors=_VECTORS[:9])
    large, _ = _open(tmp_path / "b", kind=IndexKind.EXACT_FP16, vectors=_VECTORS[:10])
    (source,) = small.folder.glob("indexes/user/*")
    (target,) = large.folder.glob("indexes/user/*")
    size_bytes = target.stat().st_size
    content = source.read_bytes()
    target.write_bytes(content + b"\0" * (size_bytes - len(content)))

    with pytest.raises(BundleError, match="holds 9 rows of 8 numbers; expected 10"):
        Retriever(Bundle.open(tmp_path / "b"))


def test_a_damaged_index_is_refused(tmp_path: Path) -> None:
    bundle, _ = _open(tmp_path, kind=IndexKind.EXACT_FP16)
    (path,) = bundle.folder.glob("indexes/user/*")
    content = path.read_bytes()

    path.write_bytes(b"\xff" * len(content))
    with pytest.raises(BundleError, match="is no index that FAISS can read"):
        Retriever(Bundle.open(tmp_path))
    path.write_bytes(content[:-1])
    with pytest.raises(BundleError, match="bytes; the manifest says"):
        Retriever(Bundle.open(tmp_path))
    path.write_bytes(content[:-1] + b"\1")
    with pytest.raises(BundleError, match="is damaged: its CRC-32"):
        Bundle.open(tmp_path).verify()
