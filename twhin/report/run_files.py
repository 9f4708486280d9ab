# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a run has left in its folder, opened for reading."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twhin.checkpoint.manifest import CONFIG_FILE
from twhin.checkpoint.reader import CheckpointReader
from twhin.checkpoint.relation_model import load_relation_model
from twhin.config.resolved_config import ResolvedConfig, load_config
from twhin.config.settings import Relation
from twhin.evaluation.history import read_history
from twhin.evaluation.report import METRICS_FILE
from twhin.graph.configured_schema import relation_settings
from twhin.graph.open_graph import open_prepared
from twhin.graph.prepared_graph import PreparedGraph
from twhin.model.relation_model import RelationModel


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
        return load_relation_model(self.reader, self.config.settings)


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
        history=read_history(output_dir),
        metrics=_read_metrics(output_dir / METRICS_FILE),
    )


def _read_metrics(path: Path) -> dict[str, float]:
    if not path.exists():
        return {}
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {name: value for name, value in content.items() if "/" in name}
