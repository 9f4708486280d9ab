# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""One checkpoint of a run, with its configuration and its graph."""

from collections.abc import Sequence
from pathlib import Path

from twhin.checkpoint.folders import CheckpointChoice, find_checkpoint
from twhin.checkpoint.manifest import CONFIG_FILE
from twhin.checkpoint.reader import CheckpointReader
from twhin.config.resolved_config import ResolvedConfig, load_config
from twhin.errors import DataError
from twhin.graph.open_graph import open_prepared
from twhin.graph.prepared_graph import PreparedGraph
from twhin.training.resume import check_same_run


class SavedRun:
    """A checkpoint that a command works on.

    Attributes:
      output_dir: The folder of the run.
      checkpoint: The folder of the checkpoint.
      config: The configuration to work with.
    """

    def __init__(
        self,
        output_dir: Path,
        *,
        config_path: Path | None = None,
        overrides: Sequence[str] = (),
        checkpoint: str | None = None,
    ) -> None:
        """Finds the checkpoint and its configuration.

        Args:
          output_dir: The folder of the run.
          config_path: A configuration file; None for the checkpoint's own.
          overrides: "path.to.field=value" each.
          checkpoint: "newest", "best" or a folder; None for the best one where
            the configuration names the metric that decides about it, otherwise
            for the newest.

        Raises:
          CheckpointError: There is no such checkpoint.
          ConfigError: The configuration has faults, or is one of another model.
        """
        self.output_dir = output_dir
        self._config_path = config_path
        self._overrides = overrides
        self.checkpoint = self._find_checkpoint(checkpoint)
        self.config = self._load_config(self.checkpoint)

    def open_graph(self, reader: CheckpointReader) -> PreparedGraph:
        """Opens the graph that the checkpoint was trained on.

        Args:
          reader: Of the checkpoint.

        Raises:
          DataError: The graph is missing, or is another one.
        """
        graph = open_prepared(self.config.settings, self.output_dir)
        digest = None if graph.manifest is None else graph.manifest.digest
        if (graph.schema, digest) != (reader.schema, reader.graph_digest):
            raise DataError(
                f"{graph.folder or 'data.encoded'}: is another graph than the one"
                f" that {self.checkpoint} was trained on; allowed: the same"
            )
        return graph

    def _find_checkpoint(self, named: str | None) -> Path:
        choices = [str(choice) for choice in CheckpointChoice]
        if named is not None and named not in choices:
            return find_checkpoint(Path(named).absolute())
        if named is None:
            newest = find_checkpoint(self.output_dir)
            evaluation = self._load_config(newest).settings.evaluation
            named = "newest" if evaluation.best_metric is None else "best"
        return find_checkpoint(self.output_dir, which=CheckpointChoice(named))

    def _load_config(self, checkpoint: Path) -> ResolvedConfig:
        own = checkpoint / CONFIG_FILE
        config = load_config(self._config_path or own, self._overrides)
        allowed = "the checkpoint's own, but for what is measured and exported"
        check_same_run(checkpoint.parent, own, config, allowed=allowed)
        return config
