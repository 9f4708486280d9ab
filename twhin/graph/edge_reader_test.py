# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that ranks read every edge once, in a fixed order, from any cursor."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twhin.errors import DataError
from twhin.graph.cursor import Cursor
from twhin.graph.edge_batch import EdgeBatch
from twhin.graph.edge_reader import EdgeReader
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema

SCHEMA = GraphSchema(
    entity_types=(EntityTypeSchema(name="entity", num_entities=1000),),
    relations=tuple(
        RelationSchema(name=name, lhs="entity", rhs="entity") for name in "abc"
    ),
)


def write_edges(folder: Path, sizes: Sequence[int], row_group_size: int = 7) -> None:
    """Writes files of the given sizes; edge i is (i, i mod 3, 999 - i)."""
    stop = 0
    for number, size in enumerate(sizes):
        lhs = np.arange(stop, stop + size)
        stop += size
        table = pa.table({"lhs": lhs, "rel": lhs % 3, "rhs": 999 - lhs})
        path = folder / f"{number}.parquet"
        pq.write_table(table, path, row_group_size=row_group_size)


def reader(folder: Path, **arguments: object) -> EdgeReader:
    values: dict[str, object] = {
        "files": [str(folder)],
        "schema": SCHEMA,
        "batch_size": 4,
        "seed": 5,
        "shuffle_window": 16,
        **arguments,
    }
    return EdgeReader(**values)  # type: ignore[arg-type]


def ranks(folder: Path, world_size: int, **arguments: object) -> list[EdgeReader]:
    return [
        reader(folder, rank=rank, world_size=world_size, **arguments)
        for rank in range(world_size)
    ]


def read(
    source: EdgeReader, epoch: int = 0, start: Cursor | None = None
) -> list[tuple[EdgeBatch, Cursor]]:
    return list(source.epoch(epoch, start=start))


def ids(steps: Sequence[tuple[EdgeBatch, Cursor]]) -> list[int]:
    return [int(i) for batch, _ in steps for i in batch.lhs]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_edges(tmp_path, [30, 1, 16])  # 47 edges in 9 row groups.
    return tmp_path


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("shuffle_window", [1, 16, 1000])
def test_each_edge_is_read_once_in_equally_many_steps(
    folder: Path, world_size: int, shuffle_window: int
) -> None:
    readers = ranks(folder, world_size, shuffle_window=shuffle_window)
    for epoch in (0, 1):
        steps = [read(each, epoch) for each in readers]

        assert sorted(i for each in steps for i in ids(each)) == list(range(47))
        assert {len(each) for each in steps} == {readers[0].num_steps(epoch)}
        assert {each.num_steps(epoch) for each in readers} == {len(steps[0])}


def test_columns_stay_together(folder: Path) -> None:
    for batch, _ in read(reader(folder)):
        assert torch.equal(batch.rel, batch.lhs % 3)
        assert torch.equal(batch.rhs, 999 - batch.lhs)
        assert batch.weight is None
        assert batch.lhs.dtype == torch.int64


def test_weights_stay_with_their_edges(tmp_path: Path) -> None:
    lhs = np.arange(20)
    table = pa.table({"lhs": lhs, "rel": lhs * 0, "rhs": lhs, "weight": lhs + 0.5})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3)

    for batch, _ in read(reader(tmp_path)):
        assert batch.weight is not None
        assert batch.weight.dtype == torch.float32
        assert torch.equal(batch.weight, batch.lhs + 0.5)


def test_only_the_last_step_of_an_epoch_is_short(folder: Path) -> None:
    for world_size in (1, 2, 3):
        steps = [read(each) for each in ranks(folder, world_size)]
        sizes = [[len(batch) for batch, _ in each] for each in steps]

        assert {size for each in sizes for size in each[:-1]} == {4}
        last = [each[-1] for each in sizes]
        assert max(last) - min(last) <= 1
        assert sum(last) == (47 - 1) % (4 * world_size) + 1


def test_ranks_without_an_edge_have_empty_batches(tmp_path: Path) -> None:
    write_edges(tmp_path, [2])

    steps = [read(each) for each in ranks(tmp_path, 4)]

    assert sorted(len(batch) for ((batch, _),) in steps) == [0, 0, 1, 1]


def test_rank_reads_no_row_group_that_is_another_ranks(tmp_path: Path) -> None:
    write_edges(tmp_path, [100], row_group_size=10)

    steps = [read(each) for each in ranks(tmp_path, 2, shuffle_window=1000)]

    groups = [{i // 10 for i in ids(each)} for each in steps]
    assert [len(each) for each in groups] == [5, 5]
    assert not groups[0] & groups[1]


def test_order_is_a_function_of_seed_and_epoch(folder: Path) -> None:
    first = ids(read(reader(folder)))

    assert ids(read(reader(folder))) == first
    assert ids(read(reader(folder), epoch=1)) != first
    assert ids(read(reader(folder, seed=6))) != first
    assert first != sorted(first)


def test_window_of_all_rows_mixes_the_files(folder: Path) -> None:
    first_half = ids(read(reader(folder, shuffle_window=1000)))[:24]

    assert 5 < sum(i < 24 for i in first_half) < 19


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_reading_goes_on_bit_identically_from_every_cursor(
    folder: Path, world_size: int
) -> None:
    for rank in range(world_size):
        whole = read(reader(folder, rank=rank, world_size=world_size), epoch=2)
        for done, (_, cursor) in enumerate(whole, start=1):
            loaded = Cursor.from_json(json.loads(json.dumps(cursor.to_json())))
            again = reader(folder, rank=rank, world_size=world_size)

            rest = read(again, 2, loaded)

            assert again.num_steps(2, loaded) == len(rest) == len(whole) - done
            for (batch, behind), (expected, at) in zip(rest, whole[done:], strict=True):
                assert torch.equal(batch.lhs, expected.lhs)
                assert behind == at


def test_cursor_is_the_same_on_all_ranks(folder: Path) -> None:
    cursors = [[c for _, c in read(each)] for each in ranks(folder, 3)]

    assert cursors[0] == cursors[1] == cursors[2]


JOB = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(0, 4))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(jobs=st.lists(JOB, min_size=1, max_size=4))
def test_jobs_of_other_sizes_read_what_is_left_each_edge_once(
    folder: Path, jobs: list[tuple[int, int, int]]
) -> None:
    cursor: Cursor | None = None
    seen: list[int] = []
    for world_size, batch_size, num_steps in [*jobs, (2, 5, 1000)]:
        following = cursor
        for each in ranks(folder, world_size, batch_size=batch_size):
            steps = read(each, 0, cursor)
            assert len(steps) == each.num_steps(0, cursor)
            seen += ids(steps[:num_steps])
            if steps[:num_steps]:
                following = steps[:num_steps][-1][1]
        cursor = following

    assert sorted(seen) == list(range(47))


def test_cursor_behind_the_last_edge_yields_nothing(folder: Path) -> None:
    end = read(reader(folder))[-1][1]

    assert read(reader(folder), 0, end) == []
    assert reader(folder).num_steps(0, end) == 0


def test_cursor_of_other_edges_or_of_another_epoch_is_an_error(folder: Path) -> None:
    cursor = read(reader(folder))[0][1]

    with pytest.raises(
        DataError, match="cursor: of epoch 0 over 47 edges; expected ep"
    ):
        read(reader(folder), 1, cursor)
    write_edges(folder, [30, 1, 17])
    with pytest.raises(
        DataError, match=r"expected epoch 0 over the 48 edges of '.*0.p"
    ):
        read(reader(folder), 0, cursor)


def test_sampling_reads_the_share_of_each_relation(tmp_path: Path) -> None:
    write_edges(tmp_path, [900], row_group_size=100)
    rates = [1.0, 0.5, 0.1]

    sampled = ids(read(reader(tmp_path, sampling_rates=rates)))

    counts = np.bincount(np.array(sampled) % 3)
    assert counts[0] == 300
    assert abs(counts[1] - 150) < 5 * (300 * 0.25) ** 0.5
    assert abs(counts[2] - 30) < 5 * (300 * 0.09) ** 0.5
    assert len(set(sampled)) == len(sampled)


def test_sampled_edges_change_with_the_epoch_and_not_with_the_ranks(
    tmp_path: Path,
) -> None:
    write_edges(tmp_path, [300])
    rates = [0.5, 0.5, 0.5]

    def sampled(world_size: int, epoch: int) -> list[int]:
        readers = ranks(tmp_path, world_size, sampling_rates=rates)
        return sorted(i for each in readers for i in ids(read(each, epoch)))

    assert sampled(1, 0) == sampled(3, 0)
    assert sampled(1, 0) != sampled(1, 1)


def test_batches_keep_their_size_on_average_when_sampled(tmp_path: Path) -> None:
    write_edges(tmp_path, [900], row_group_size=100)

    source = reader(tmp_path, batch_size=30, sampling_rates=[0.25, 0.25, 0.25])
    sizes = [len(batch) for batch, _ in read(source)]

    assert source.num_steps(0) == len(sizes) == 8  # 900 / (30 / .25), rounded up
    assert 22 < np.mean(sizes[:-1]) < 38


def test_full_rates_change_nothing(folder: Path) -> None:
    rates = [1.0, 1.0, 1.0]

    assert ids(read(reader(folder, sampling_rates=rates))) == ids(read(reader(folder)))


def test_bad_value_is_reported_where_it_is_read(tmp_path: Path) -> None:
    write_edges(tmp_path, [20])
    table = pa.table({"lhs": [1000], "rel": [0], "rhs": [0]})
    pq.write_table(table, tmp_path / "bad.parquet")

    with pytest.raises(
        DataError, match=r"bad.parquet: row group 0, row 0: lhs is 1000"
    ):
        read(reader(tmp_path))


def test_epoch_may_be_left_early(folder: Path) -> None:
    for _ in reader(folder).epoch(0):
        break
