# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A small model, divided in several ways, for tests of checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from twhin.checkpoint.table_part import TablePart
from twhin.checkpoint.training_state import Progress, TrainingState
from twhin.checkpoint.writer import CheckpointWriter
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema

DIM = 8
SCHEMA = GraphSchema(
    entity_types=(
        EntityTypeSchema(name="user", num_entities=11),
        EntityTypeSchema(name="tweet", num_entities=6),
        EntityTypeSchema(name="topic", num_entities=3),
    ),
    relations=(RelationSchema(name="likes", lhs="user", rhs="tweet"),),
)

LAYOUTS = ("rows", "columns", "tables")


class Model:
    """Whole tables with every form of optimizer state: none, [n] and [n, D].

    Attributes:
      weights: By entity type [rows, D]; "tweet" is float16.
      states: By entity type and name; "user" has [rows] and [rows, D].
      relations: Trained one step, so that their optimizer has a state.
      optimizer: The state of that optimizer.
    """

    def __init__(self, seed: int) -> None:
        """Draws all values."""
        generator = torch.Generator().manual_seed(seed)

        def draw(*size: int) -> Tensor:
            return torch.randn(size, generator=generator)

        self.weights = {
            "user": draw(11, DIM),
            "tweet": draw(6, DIM).half(),
            "topic": draw(3, DIM),
        }
        self.states: dict[str, dict[str, Tensor]] = {
            "user": {"exp_avg": draw(11, DIM), "sum": draw(11)},
            "tweet": {"sum": draw(6)},
            "topic": {},
        }
        self.relations = {"translation": torch.nn.Parameter(draw(1, DIM))}
        adam = torch.optim.Adam(self.relations.values())
        self.relations["translation"].grad = draw(1, DIM)
        adam.step()
        self.optimizer: dict[str, Any] = adam.state_dict()

    def state(
        self, layout: str = "rows", rank: int = 0, world_size: int = 1
    ) -> TrainingState:
        """Returns what a rank holds; views.

        Args:
          layout: "rows" and "columns" give each rank a part of each table;
            "tables" gives it whole ones, or none.
          rank: The rank.
          world_size: The number of ranks.
        """
        return TrainingState(
            tables={
                name: self._parts(name, number, layout, rank, world_size)
                for number, name in enumerate(self.weights)
            },
            relations=self.relations,
            relation_optimizer=self.optimizer,
        )

    def tensors(self) -> dict[str, Tensor]:
        """Returns all tensors by name."""
        states = {
            f"{name}/{kind}": values
            for name, by_kind in self.states.items()
            for kind, values in by_kind.items()
        }
        optimizer = {
            f"optimizer/{name}": values
            for name, values in self.optimizer["state"][0].items()
        }
        return {**self.weights, **states, **self.relations, **optimizer}

    def _parts(
        self, name: str, number: int, layout: str, rank: int, world_size: int
    ) -> list[TablePart]:
        weight, states = self.weights[name], self.states[name]
        if layout == "tables" and number % world_size != rank:
            return []
        rows = slice(0, len(weight))
        columns = slice(0, DIM)
        if layout == "rows":
            rows = _share(len(weight), rank, world_size)
        # A state of whole rows cannot be divided by columns.
        elif layout == "columns" and all(s.dim() == 2 for s in states.values()):
            columns = _share(DIM, rank, world_size)
        elif layout == "columns" and rank:
            return []
        return [
            TablePart(
                start=rows.start,
                rows=weight[rows, columns],
                state={
                    kind: values[rows, columns] if values.dim() == 2 else values[rows]
                    for kind, values in states.items()
                },
                column_start=columns.start,
            )
        ]


def _share(size: int, rank: int, world_size: int) -> slice:
    # As torchrec does: the last ranks may have less, or nothing.
    step = -(-size // world_size)
    return slice(min(size, rank * step), min(size, (rank + 1) * step))


def assert_equal_bits(
    found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> None:
    """Asserts that all tensors are equal, in dtype and in every bit."""
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert found[name].dtype == values.dtype, name
        assert torch.equal(found[name], values), name


def make_writer(
    folder: Path, *, keep_last: int = 2, group: dist.ProcessGroup | None = None
) -> CheckpointWriter:
    """Returns a writer for `Model`."""
    return CheckpointWriter(
        folder,
        schema=SCHEMA,
        embedding_dim=DIM,
        config_text="training: {seed: 1}\n",
        config_digest="c0ffee",
        keep_last=keep_last,
        group=group,
        graph_digest="9a9a",
        prepared="/data/prepared",
    )


def save_steps(folder: Path, *steps: int, keep_last: int = 9) -> None:
    """Saves `Model(step)` for each step."""
    writer = make_writer(folder, keep_last=keep_last)
    for step in steps:
        writer.save(Model(step).state(), Progress(step=step, epoch=0), wait=True)
    writer.close()
