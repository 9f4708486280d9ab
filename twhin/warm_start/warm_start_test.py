# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks starting from checkpoints and bundles of another vocabulary."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from twhin.bundle.bundle import Bundle
from twhin.checkpoint.table_part import TablePart
from twhin.config.settings import NewRows
from twhin.errors import CheckpointError, ConfigError
from twhin.scoring import Operator
from twhin.testing.earlier_models import ALONE
from twhin.testing.small_bundle import (
    RelationForTest,
    TableForTest,
    write_bundle_for_test,
)
from twhin.testing.warm_start_case import DIM, Case, make_settings
from twhin.warm_start import warm_start
from twhin.warm_start.bundle_model import BundleModel
from twhin.warm_start.checkpoint_model import CheckpointModel
from twhin.warm_start.earlier_model import NoModel, visit_rows
from twhin.warm_start.join import JoinCounts


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_kept_rows_are_those_of_the_same_id(case: Case) -> None:
    source = CheckpointModel.open(case.files.folder / "run")
    tables = case.tables()

    started = case.start(source, tables)

    assert source.step == 5
    assert started.counts == {
        "user": JoinCounts(num_kept=2, num_new=1, num_gone=1),
        "tweet": JoinCounts(num_kept=1, num_new=1, num_gone=1),
    }
    for name, kept, new in (("user", "ac", "d"), ("tweet", "x", "z")):
        (part,) = tables[name]
        for entity_id in kept:
            wanted = case.earlier[name][entity_id]
            assert torch.equal(part.rows[case.row(name, entity_id)], wanted)
        assert part.rows[case.row(name, new)].tolist() == [-1.0] * DIM
        assert not part.state["sum"].any()


def test_kept_rows_carry_their_state_by_choice(case: Case) -> None:
    source = CheckpointModel.open(case.files.folder / "run")
    tables = case.tables()

    case.start(source, tables, make_settings(optimizer_state=True))

    (part,) = tables["user"]
    state = part.state["sum"].tolist()
    wanted = [
        case.sums["user"].get(i, 0.0) for i in case.files.vocabulary("user", "new")
    ]
    assert state == wanted
    with pytest.raises(ConfigError, match=r"the states \['sum'\], now it has \['m'\]"):
        case.start(source, case.tables(state="m"), make_settings(optimizer_state=True))


def test_new_rows_are_the_mean_of_their_kept_neighbors(case: Case) -> None:
    source = CheckpointModel.open(case.files.folder / "run")
    tables = case.tables()

    case.start(source, tables, make_settings(NewRows.NEIGHBORS))

    earlier = case.earlier
    mean = (2 * earlier["tweet"]["x"] + earlier["user"]["c"]) / 3
    assert torch.allclose(tables["user"][0].rows[case.row("user", "d")], mean)
    assert tables["tweet"][0].rows[case.row("tweet", "z")].tolist() == [-1.0] * DIM
    kept = tables["tweet"][0].rows[case.row("tweet", "x")]
    assert torch.equal(kept, earlier["tweet"]["x"])


def test_new_rows_take_given_vectors(case: Case) -> None:
    source = CheckpointModel.open(case.files.folder / "run")
    tables = case.tables()
    vectors = case.files.write_parquet(
        "vectors.parquet",
        entity_type=["user", "user"],
        id=["d", "a"],
        vector=[[9.0] * DIM, [8.0] * DIM],
    )

    case.start(source, tables, make_settings(NewRows.VECTORS, vectors=(str(vectors),)))

    rows = tables["user"][0].rows
    assert rows[case.row("user", "d")].tolist() == [9.0] * DIM
    # What was trained is not overwritten.
    assert torch.equal(rows[case.row("user", "a")], case.earlier["user"]["a"])


def test_vectors_start_rows_without_an_earlier_model(case: Case) -> None:
    tables = case.tables()
    vectors = case.files.write_parquet(
        "vectors.parquet", entity_type=["user"], id=["a"], vector=[[8.0] * DIM]
    )
    settings = make_settings(NewRows.VECTORS, vectors=(str(vectors),))

    started = case.start(NoModel(DIM), tables, settings)

    assert started.counts["user"] == JoinCounts(num_kept=0, num_new=3, num_gone=0)
    assert tables["user"][0].rows[case.row("user", "a")].tolist() == [8.0] * DIM
    assert tables["user"][0].rows[case.row("user", "d")].tolist() == [-1.0] * DIM


@pytest.mark.parametrize("new_rows", [NewRows.RANDOM, NewRows.NEIGHBORS])
@pytest.mark.parametrize("by_columns", [False, True])
def test_parts_of_tables_get_what_whole_tables_get(
    case: Case, new_rows: NewRows, by_columns: bool
) -> None:
    source = CheckpointModel.open(case.files.folder / "run")
    whole, divided = case.tables(), case.tables()
    for number in range(2):
        parts = {
            name: [_half(part, number, by_columns)] for name, (part,) in divided.items()
        }
        settings = make_settings(new_rows, optimizer_state=not by_columns)
        case.start(source, parts, settings)

    case.start(source, whole, make_settings(new_rows, optimizer_state=not by_columns))

    for name, (part,) in whole.items():
        assert torch.equal(divided[name][0].rows, part.rows)
        assert torch.equal(divided[name][0].state["sum"], part.state["sum"])


def _half(part: TablePart, number: int, by_columns: bool) -> TablePart:
    if by_columns:
        columns = slice(number * DIM // 2, (number + 1) * DIM // 2)
        return TablePart(
            start=0, rows=part.rows[:, columns], state={}, column_start=columns.start
        )
    middle = 1
    rows = slice(0, middle) if number == 0 else slice(middle, None)
    return TablePart(
        start=number * middle,
        rows=part.rows[rows],
        state={name: values[rows] for name, values in part.state.items()},
    )


def test_half_precision_tables_are_filled(case: Case) -> None:
    source = CheckpointModel.open(case.files.folder / "run")
    tables = {
        name: [TablePart(start=0, rows=part.rows.half(), state={})]
        for name, (part,) in case.tables().items()
    }

    case.start(source, tables, make_settings(NewRows.NEIGHBORS))

    row = tables["user"][0].rows[case.row("user", "a")]
    assert torch.equal(row, case.earlier["user"]["a"].half())
    mean = (2 * case.earlier["tweet"]["x"] + case.earlier["user"]["c"]) / 3
    new = tables["user"][0].rows[case.row("user", "d")]
    assert torch.allclose(new.float(), mean, rtol=1e-3)


def test_bundle_gives_what_the_checkpoint_gives(case: Case) -> None:
    root = case.files.folder / "bundle"
    write_bundle_for_test(
        root,
        {
            name: TableForTest(ids=list(rows), vectors=torch.stack(list(rows.values())))
            for name, rows in case.earlier.items()
        },
        [
            RelationForTest(
                name=relation.name,
                lhs=relation.lhs,
                rhs=relation.rhs,
                operator=Operator.TRANSLATION,
                parameters=case.parameters["translation"][index],
                reciprocal_parameters=case.parameters["translation_reciprocal"][index],
            )
            for index, relation in enumerate(case.relations())
        ],
    )
    from_bundle, from_checkpoint = case.tables(), case.tables()

    started = case.start(
        BundleModel(Bundle.open(root)), from_bundle, make_settings(NewRows.NEIGHBORS)
    )
    other = case.start(
        CheckpointModel.open(case.files.folder / "run"),
        from_checkpoint,
        make_settings(NewRows.NEIGHBORS),
    )

    assert started.counts == other.counts
    for name, (part,) in from_checkpoint.items():
        assert torch.equal(from_bundle[name][0].rows, part.rows)
    parameters = {name: torch.zeros(2, DIM) for name in case.parameters}
    started.fill_relations(case.relations(), parameters)
    for name, found in parameters.items():
        assert torch.equal(found, case.parameters[name])


def test_vocabulary_that_was_prepared_anew_is_refused(case: Case) -> None:
    folder = case.files.folder
    old = folder / "old"
    old.rename(folder / "elsewhere")
    (folder / "new").rename(folder / "run" / "prepared")

    with pytest.raises(CheckpointError, match="has been prepared anew since"):
        CheckpointModel.open(folder / "run")

    (folder / "run" / "prepared").rename(folder / "new")
    (folder / "elsewhere").rename(folder / "run" / "prepared")
    assert CheckpointModel.open(folder / "run").num_rows("user") == 3


def test_other_dimension_is_refused(case: Case) -> None:
    source = CheckpointModel.open(case.files.folder / "run")

    with pytest.raises(ConfigError, match=r"embedding_dim: 8 differs from 4"):
        warm_start.WarmStart(
            source, graph=case.new, tables={}, embedding_dim=8, ranks=ALONE
        )


def test_rows_are_visited_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twhin.warm_start.earlier_model._BLOCK_ROWS", 4)
    reads = []

    def read(start: int, stop: int) -> Tensor:
        reads.append((start, stop))
        return torch.arange(start, stop) * 10

    wanted = np.array([9, -1, 0, 9, 1, -1])
    found = torch.full((6,), -1)
    for places, values in visit_rows(read, 10, wanted):
        found[places] = values

    assert found.tolist() == [90, -1, 0, 90, 10, -1]
    assert reads == [(0, 4), (8, 10)]
