# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Trains on parts of the lastfm graph, for what compares such runs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tools.bench import training_process
from twhin.checkpoint.folders import CheckpointChoice, find_checkpoint
from twhin.evaluation.history import read_history

_CONFIG = Path(__file__).parents[2] / "twhin/configs/lastfm.yaml"
_VALID_FRACTION = 0.1
_METRIC = "retrieval/recall@20"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Edges of one split; equal numbers of different types are different entities.

    Attributes:
      table: lhs (a user), rel, rhs (an artist, or a user for "friend").
    """

    table: pa.Table

    @property
    def lhs(self) -> npt.NDArray[np.int64]:
        """The users."""
        ids: npt.NDArray[np.int64] = self.table["lhs"].to_numpy()
        return ids

    @property
    def rhs(self) -> npt.NDArray[np.int64]:
        """The artists or users."""
        ids: npt.NDArray[np.int64] = self.table["rhs"].to_numpy()
        return ids

    @property
    def is_listen(self) -> npt.NDArray[np.bool_]:
        """Whether rhs is an artist."""
        listens: npt.NDArray[np.bool_] = np.equal(
            np.array(self.table["rel"].to_pylist()), "listens"
        )
        return listens

    def take(self, chosen: npt.NDArray[np.bool_]) -> "Edges":
        """Returns the chosen edges."""
        return Edges(table=self.table.filter(pa.array(chosen)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The splits; validation is drawn once, so that no run trains on another's."""

    train: Edges
    valid: Edges
    test: Edges

    @staticmethod
    def load(folder: Path, seed: int) -> "Graph":
        """Reads FOLDER/parquet, and draws a tenth of the listens for validation."""
        train = Edges(table=pq.read_table(folder / "parquet/train.parquet"))
        drawn = np.random.default_rng(seed).random(train.table.num_rows)
        is_valid = train.is_listen & (drawn < _VALID_FRACTION)
        test = Edges(table=pq.read_table(folder / "parquet/test.parquet"))
        return Graph(train=train.take(~is_valid), valid=train.take(is_valid), test=test)

    def within(
        self, users: npt.NDArray[np.int64], artists: npt.NDArray[np.int64]
    ) -> "Graph":
        """Returns the edges whose both ends are among these."""

        def part(edges: Edges) -> Edges:
            is_artist = np.isin(edges.rhs, artists)
            is_user = np.isin(edges.rhs, users)
            known = np.where(edges.is_listen, is_artist, is_user)
            return edges.take(np.isin(edges.lhs, users) & known)

        return Graph(
            train=part(self.train), valid=part(self.valid), test=part(self.test)
        )

    def write(self, folder: Path) -> None:
        """Writes a parquet file for each split."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("train", "valid", "test"):
            pq.write_table(getattr(self, name).table, folder / f"{name}.parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that ended.

    Attributes:
      folder: Its OUTPUT_DIR.
      secs: The time of the whole command.
      valid: Recall@20 on validation after each epoch.
      best_epoch: The number of the best one, from 1.
      edges_per_epoch: The number of training edges.
      test: Recall@20 on test of the best epoch.
      popularity: That of recommending by popularity.
    """

    folder: Path
    secs: float
    valid: list[float]
    best_epoch: int
    edges_per_epoch: int
    test: float
    popularity: float

    @property
    def checkpoint(self) -> Path:
        """The checkpoint of the best epoch."""
        return find_checkpoint(self.folder, which=CheckpointChoice.BEST)


def train(
    graph: Path, output: Path, *, epochs: int, seed: int, overrides: Sequence[str]
) -> Run:
    """Trains with the committed configuration, in a process of its own."""
    files = ", ".join(
        f"{name}: {{paths: {graph}/{name}.parquet}}"
        for name in ("train", "valid", "test")
    )
    given = [
        f"data.raw={{{files}}}",
        f"training.num_epochs={epochs}",
        f"training.seed={seed}",
        "evaluation.interval_epochs=1",
        f"evaluation.best_metric={_METRIC}",
        *overrides,
    ]
    measured = training_process.train(_CONFIG, output, given)
    name = f"valid/{_METRIC}"
    valid = [round(entry[name], 4) for entry in read_history(output) if name in entry]
    metrics = json.loads((output / "metrics.json").read_text())
    return Run(
        folder=output,
        secs=round(measured.wall_secs, 1),
        valid=valid,
        best_epoch=1 + int(np.argmax(valid)),
        edges_per_epoch=pq.read_metadata(graph / "train.parquet").num_rows,
        test=round(metrics[f"test/{_METRIC}"], 4),
        popularity=round(metrics["test/retrieval/popularity/recall@20"], 4),
    )
