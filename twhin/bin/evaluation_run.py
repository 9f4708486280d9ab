# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Evaluates one checkpoint of a run: joins checkpoint, graph and evaluator."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from twhin.bin.compressed_rows import compress
from twhin.bin.saved_run import SavedRun
from twhin.checkpoint.reader import CheckpointReader
from twhin.checkpoint.relation_model import load_relation_model
from twhin.errors import DataError
from twhin.evaluation import report
from twhin.evaluation.dense_tables import DenseTables
from twhin.evaluation.evaluator import Evaluator
from twhin.graph.prepared_graph import PreparedGraph
from twhin.training.job import Job, join_job

NO_COMPRESSION = "none"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """What was measured.

    Attributes:
      metrics: By flat name.
      uncompressed: The metrics without compression; None where there is none.
      path: The file that `metrics` were written to.
    """

    metrics: Mapping[str, float]
    uncompressed: Mapping[str, float] | None
    path: Path


class EvaluationRun(SavedRun):
    """One checkpoint of a run, to be evaluated."""

    def evaluate(self, split: str, compression: str) -> EvaluationResult | None:
        """Measures, and writes the metrics into the run's folder.

        Args:
          split: The edges that are ranked.
          compression: The form that tables are stored in; "none", or see
            `compressed_rows`.

        Returns:
          None on other ranks than the first.

        Raises:
          DataError: The graph is not the run's, or nothing is measured.
        """
        with join_job(self.config.settings.runtime) as job:
            if job.is_first:
                _LOG.info("event=evaluating checkpoint=%s", self.checkpoint)
            reader = CheckpointReader(self.checkpoint, verify=job.is_first)
            graph = self.open_graph(reader)
            tables = DenseTables(
                schema=reader.schema,
                embedding_dim=reader.embedding_dim,
                read_rows=reader.read_rows,
                device=job.device,
                group=job.group,
            )
            evaluator = self._make_evaluator(graph, reader, tables, job)
            metrics = evaluator.evaluate(split)
            if not metrics:
                raise DataError(
                    f"--split: {split!r} has no edges that the configuration's"
                    " `evaluation` measures; allowed: a split with held-out edges"
                )
            uncompressed = None
            path = self.output_dir / report.METRICS_FILE
            if compression != NO_COMPRESSION:
                tables.read(compress(reader.read_rows, compression, reader.schema))
                uncompressed, metrics = metrics, evaluator.evaluate(split)
                path = path.with_stem(f"{path.stem}-{compression}")
            if not job.is_first:
                return None
            report.write_metrics(
                path, metrics, config_digest=self.config.digest, step=reader.step
            )
        return EvaluationResult(metrics=metrics, uncompressed=uncompressed, path=path)

    def _make_evaluator(
        self,
        graph: PreparedGraph,
        reader: CheckpointReader,
        tables: DenseTables,
        job: Job,
    ) -> Evaluator:
        settings = self.config.settings
        return Evaluator(
            settings.evaluation,
            graph=graph,
            model=load_relation_model(reader, settings).to(job.device),
            comparator=settings.model.comparator,
            tables=tables,
            device=job.device,
            seed=settings.training.seed,
            group=job.group,
        )
