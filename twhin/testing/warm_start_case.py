# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""An earlier run and the graph of the next day, for tests of warm starts."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import Adagrad

from twhin.checkpoint.table_part import TablePart
from twhin.checkpoint.training_state import Progress, TrainingState
from twhin.checkpoint.writer import CheckpointWriter
from twhin.config.resolved_config import load_config
from twhin.config.settings import NewRows, Relation, WarmStart
from twhin.graph.configured_schema import relation_settings
from twhin.graph.prepared_graph import PreparedGraph
from twhin.testing.earlier_models import ALONE
from twhin.testing.prepare_case import Edge, PrepareCase
from twhin.warm_start import warm_start
from twhin.warm_start.earlier_model import EarlierModel

DIM = 4
GRAPH = """
    graph:
      entity_types: [{name: user}, {name: tweet}]
      relations:
        - {name: follows, lhs: user, rhs: user}
        - {name: likes, lhs: user, rhs: tweet%s}
    """
DATA = "data: {raw: {train: {paths: %s.parquet}}}"
OLD = [
    ("a", "likes", "x"),
    ("b", "likes", "y"),
    ("c", "likes", "y"),
    ("a", "follows", "c"),
]
# b and y are gone, d and z are new; z has no kept neighbour.
NEW = [
    ("a", "likes", "x"),
    ("d", "likes", "x"),
    ("d", "likes", "x"),
    ("d", "likes", "z"),
    ("d", "follows", "c"),
]


class Case:
    """An earlier run, and tables for the graph of now.

    Attributes:
      old: The prepared graph of the earlier run.
      new: That of now.
      earlier: By entity type and id the earlier vector.
      sums: By entity type and id the earlier state of the optimizer.
    """

    def __init__(self, folder: Path, *, new_operator: str = "translation") -> None:
        """Prepares both graphs, and saves the run in FOLDER/run."""
        self.files = PrepareCase(folder)
        self.old = self._prepare("old", OLD, "")
        self.new = self._prepare("new", NEW, f", operator: {new_operator}")
        self._count = itertools.count(1)
        self.earlier = {
            name: {i: self._next() for i in self.files.vocabulary(name, "old")}
            for name in ("user", "tweet")
        }
        self.sums = {
            name: {i: float(next(self._count)) for i in by_id}
            for name, by_id in self.earlier.items()
        }
        self.parameters = {
            "translation": torch.stack((self._next(), self._next())),
            "translation_reciprocal": torch.stack((self._next(), self._next())),
        }
        self._save(folder / "run")

    def relations(self) -> tuple[Relation, ...]:
        """Returns the relations of now."""
        settings = load_config(self.files.folder / "config.yaml").settings
        return relation_settings(settings.graph, self.new.schema)

    def tables(self, *, state: str = "sum") -> dict[str, list[TablePart]]:
        """Returns tables for the graph of now, with -1 everywhere."""
        return {
            t.name: [
                TablePart(
                    start=0,
                    rows=torch.full((t.num_entities, DIM), -1.0),
                    state={state: torch.zeros(t.num_entities)},
                )
            ]
            for t in self.new.schema.entity_types
        }

    def row(self, entity_type: str, entity_id: str) -> int:
        """Returns the row of an entity now."""
        return self.files.vocabulary(entity_type, "new").index(entity_id)

    def start(
        self,
        source: EarlierModel,
        tables: Mapping[str, Sequence[TablePart]],
        settings: WarmStart | None = None,
    ) -> warm_start.WarmStart:
        """Fills tables."""
        started = warm_start.WarmStart(
            source, graph=self.new, tables=tables, embedding_dim=DIM, ranks=ALONE
        )
        started.fill_rows(settings or make_settings())
        return started

    def _next(self) -> Tensor:
        return torch.full((DIM,), float(next(self._count))) + torch.arange(DIM) / 10

    def _prepare(self, name: str, edges: list[Edge], operator: str) -> PreparedGraph:
        self.files.write_edges(f"{name}.parquet", edges)
        self.files.prepare(GRAPH % operator, DATA % name, output=name)
        return self.files.graph(name)

    def _save(self, run: Path) -> None:
        tables = {
            name: [
                TablePart(
                    start=0,
                    rows=torch.stack(list(vectors.values())),
                    state={"sum": torch.tensor(list(self.sums[name].values()))},
                )
            ]
            for name, vectors in self.earlier.items()
        }
        assert self.old.manifest is not None
        text = (self.files.folder / "config.yaml").read_text()
        writer = CheckpointWriter(
            run / "checkpoints",
            schema=self.old.schema,
            embedding_dim=DIM,
            config_text=text.replace("new.parquet", "old.parquet").replace(
                ", operator: diagonal", ""
            ),
            config_digest="",
            keep_last=1,
            group=None,
            graph_digest=self.old.manifest.digest,
            prepared=str(self.old.folder),
        )
        state = TrainingState(
            tables=tables,
            relations=self.parameters,
            relation_optimizer=make_adagrad(self.parameters, 3.0).state_dict(),
        )
        writer.save(state, Progress(step=5), wait=True)


def make_adagrad(parameters: Mapping[str, Tensor], start: float) -> Adagrad:
    """Returns an optimizer whose state is `start` + 0, 1, 2 and 3 by row."""
    adagrad = Adagrad([torch.nn.Parameter(p) for p in parameters.values()])
    for number, (values, state) in enumerate(
        zip(parameters.values(), adagrad.state.values(), strict=True)
    ):
        rows = torch.arange(len(values)).float() + 2 * number + start
        state["sum"] = rows.unsqueeze(1).expand_as(values).clone()
    return adagrad


def make_settings(
    new_rows: NewRows = NewRows.RANDOM,
    *,
    vectors: tuple[str, ...] = (),
    optimizer_state: bool = False,
) -> WarmStart:
    """Returns settings of a warm start."""
    return WarmStart(
        checkpoint="run",
        bundle=None,
        new_rows=new_rows,
        vectors=vectors,
        optimizer_state=optimizer_state,
    )
