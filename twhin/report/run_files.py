# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a run has left in its folder, opened for reading."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twhin.checkpoint.manifest import CONFIG_FILE
from twhin.checkpoint.reader import CheckpointReader
from twhin.config.resolved_config import ResolvedConfig, load_config
from twhin.config.settings import Relation
from twhin.evaluation.report import METRICS_FILE
from twhin.graph.configured_schema import relation_settings
from twhin.graph.open_graph import open_prepared
from twhin.graph.prepared_graph import PreparedGraph
from twhin.model.relation_model import RelationModel

HISTORY_FILE = "history.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """A run with one of its checkpoints.

    Attributes:
      output_dir: Its folder.
      config: The configuration of the checkpoint.
      graph: The graph.
      reader: The checkpoint.
      history: What was measured over the steps, in order; see history.jsonl.
      metrics: The metrics by flat name; empty where none were written.
    """

    output_dir: Path
    config: ResolvedConfig
    graph: PreparedGraph
    reader: CheckpointReader
    history: Sequence[dict[str, float]]
    metrics: dict[str, float]

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The settings of each relation, in the order of the schema."""
        return relation_settings(self.config.settings.graph, self.graph.schema)

    def load_model(self) -> RelationModel:
        """Returns the trained relations, on the CPU."""
        settings = self.config.settings
        model = RelationModel(
            operators=[relation.operator for relation in self.relations],
            embedding_dim=self.reader.embedding_dim,
            comparator=settings.model.comparator,
            reciprocal=settings.model.reciprocal,
        )
        for name, values in self.reader.relation_parameters().items():
            model.parameters_by_name[name].data.copy_(values)
        return model


def open_run(
    output_dir: Path, checkpoint: Path, config: ResolvedConfig | None = None
) -> RunFiles:
    """Opens a run.

    Args:
      output_dir: Its folder.
      checkpoint: The folder of a checkpoint.
      config: The configuration, where its data has moved; None for the
        checkpoint's own.

    Raises:
      CheckpointError: The checkpoint is damaged.
      DataError: The graph is missing or damaged.
    """
    if config is None:
        config = load_config(checkpoint / CONFIG_FILE)
    return RunFiles(
        output_dir=output_dir,
        config=config,
        graph=open_prepared(config.settings, output_dir),
        # Its writer has just compared it, and evaluation has read it.
        reader=CheckpointReader(checkpoint, verify=False),
        history=_read_history(output_dir / HISTORY_FILE),
        metrics=_read_metrics(output_dir / METRICS_FILE),
    )


def _read_history(path: Path) -> list[dict[str, float]]:
    """Returns the complete lines of the file; a crash may have cut the last."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]


def _read_metrics(path: Path) -> dict[str, float]:
    if not path.exists():
        return {}
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {name: value for name, value in content.items() if "/" in name}
