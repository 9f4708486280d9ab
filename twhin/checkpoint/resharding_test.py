# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that any number of ranks can load what any other number saved."""

from pathlib import Path

import torch.distributed as dist

from twhin.checkpoint.folders import list_checkpoints
from twhin.checkpoint.load_newest import load_newest
from twhin.checkpoint.reader import CheckpointReader
from twhin.checkpoint.training_state import Progress
from twhin.testing.ranks import run_ranks
from twhin.testing.small_state import (
    LAYOUTS,
    SCHEMA,
    Model,
    assert_equal_bits,
    make_writer,
)


def _save(folder: Path) -> None:
    rank, world_size = dist.get_rank(), dist.get_world_size()
    for seed, layout in enumerate(LAYOUTS):
        writer = make_writer(folder / layout, group=dist.group.WORLD)
        state = Model(seed).state(layout, rank, world_size)
        writer.save(state, Progress(step=seed, epoch=0))
        writer.close()


def _load(folder: Path) -> list[Model]:
    """Loads every layout into every layout."""
    rank, world_size = dist.get_rank(), dist.get_world_size()
    models = []
    for saved in LAYOUTS:
        for layout in LAYOUTS:
            model = Model(9)
            state = model.state(layout, rank, world_size)
            # Nothing that another rank holds may be touched.
            load_newest(folder / saved, state, schema=SCHEMA, group=dist.group.WORLD)
            models.append(model)
    return models


def test_two_ranks_save_and_one_and_three_load(tmp_path: Path) -> None:
    run_ranks(_save, 2, tmp_path)
    by_rank = run_ranks(_load, 3, tmp_path)

    for seed, saved in enumerate(LAYOUTS):
        wanted = Model(seed)
        (folder,) = list_checkpoints(tmp_path / saved)
        assert CheckpointReader(folder).world_size == 2
        for layout in LAYOUTS:
            single = Model(9)
            load_newest(
                tmp_path / saved, single.state(layout), schema=SCHEMA, group=None
            )
            assert_equal_bits(single.tensors(), wanted.tensors())
        for number, layout in enumerate(LAYOUTS):
            gathered = Model(8)
            for rank, models in enumerate(by_rank):
                _copy_own(models[3 * seed + number], gathered, layout, rank)
            assert_equal_bits(gathered.tensors(), wanted.tensors())


def _copy_own(source: Model, target: Model, layout: str, rank: int) -> None:
    """Copies what a rank of three holds, and what all hold."""
    sources, targets = source.state(layout, rank, 3), target.state(layout, rank, 3)
    for name in sources.tables:
        for ours, theirs in zip(
            sources.tables[name], targets.tables[name], strict=True
        ):
            theirs.rows.copy_(ours.rows)
            for kind, values in ours.state.items():
                theirs.state[kind].copy_(values)
    target.relations, target.optimizer = source.relations, source.optimizer
