# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A run from its configuration to its metrics: joins the parts and trains."""

import contextlib
import logging
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twhin.checkpoint.folders import (
    CHECKPOINTS_FOLDER,
    CheckpointChoice,
    find_checkpoint,
)
from twhin.checkpoint.load_newest import load_newest
from twhin.checkpoint.manifest import CONFIG_FILE
from twhin.checkpoint.reader import CheckpointReader
from twhin.checkpoint.training_state import Progress, TrainingState
from twhin.checkpoint.writer import CheckpointWriter
from twhin.config.resolved_config import ResolvedConfig
from twhin.config.settings import KnownEdges as MaskKnown
from twhin.config.settings import Relation, TrainConfig
from twhin.evaluation.evaluator import Evaluator
from twhin.evaluation.report import METRICS_FILE, write_metrics
from twhin.graph.configured_schema import relation_settings
from twhin.graph.edge_files import read_edges
from twhin.graph.edge_reader import EdgeReader
from twhin.graph.prepared_graph import PreparedGraph
from twhin.model import compiled_parts, known_flow
from twhin.model.relation_model import RelationModel
from twhin.training import resume
from twhin.training.entity_tables import EntityTables
from twhin.training.job import Job
from twhin.training.known_edges import KnownEdges
from twhin.training.neighborhood_init import add_neighborhoods
from twhin.training.relation_optimizer import RelationOptimizer
from twhin.training.run_log import RunLog
from twhin.training.step_batch_builder import StepBatchBuilder
from twhin.training.trainer import Trainer, TrainerParts, count_steps
from twhin.training.training_step import TrainingStep
from twhin.warm_start.earlier_model import EarlierModel
from twhin.warm_start.prior import Prior, freeze_tables
from twhin.warm_start.warm_start import WarmStart

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run came to.

    Attributes:
      checkpoint: The checkpoint whose metrics these are.
      metrics: By flat name; empty where a signal stopped the run.
      is_stopped: Whether a signal stopped it; it can be continued.
    """

    checkpoint: Path
    metrics: Mapping[str, float]
    is_stopped: bool


class TrainingRun:
    """The parts of a run on one rank of a job.

    OUTPUT_DIR/config.yaml, checkpoints/, tensorboard/, history.jsonl and
    metrics.json are written. Where checkpoints of the same run are there,
    training goes on from the newest.
    """

    def __init__(
        self,
        config: ResolvedConfig,
        graph: PreparedGraph,
        output_dir: Path,
        job: Job,
        *,
        earlier: EarlierModel | None = None,
        restart: bool = False,
        splits: Sequence[str] = ("valid", "test"),
    ) -> None:
        """Creates tables and relations; a collective.

        Args:
          config: The configuration.
          graph: The graph.
          output_dir: The run's folder, the same for all ranks.
          job: The ranks.
          earlier: What a warm start takes rows from; None without one.
          restart: Whether to delete checkpoints that are there.
          splits: Whose edges are ranked at the end.

        Raises:
          ConfigError: The folder holds checkpoints of another run, or the device
            cannot do what the configuration asks for.
        """
        settings = config.settings
        self._config = config
        self._settings = settings
        self._graph = graph
        self._output_dir = output_dir
        self._job = job
        self._splits = splits
        self._earlier = earlier
        self._warm_start: WarmStart | None = None
        self._checkpoints = output_dir / CHECKPOINTS_FOLDER
        self._prepare_folder(restart)
        self._table_settings = {t.name: t.table for t in settings.graph.entity_types}
        self._relations = relation_settings(settings.graph, graph.schema)
        self._tables = EntityTables(
            schema=graph.schema,
            tables=freeze_tables(self._table_settings),
            embedding_dim=settings.model.embedding_dim,
            optimizer=settings.optimizer,
            device=job.device,
        )
        self._model = _make_model(settings, self._relations).to(job.device)
        self._relation_optimizer = RelationOptimizer(
            self._model,
            settings.relation_optimizer,
            max_gradient_norm=settings.training.max_gradient_norm,
            job=job,
        )
        self._evaluator = Evaluator(
            settings.evaluation,
            graph=graph,
            model=self._model,
            comparator=settings.model.comparator,
            tables=self._tables,
            device=job.device,
            seed=settings.training.seed,
            group=job.group,
        )

    def run(self) -> RunResult:
        """Trains and evaluates; a collective.

        Raises:
          TrainingError, DataError, CheckpointError: See `Trainer.run`.
        """
        if self._job.is_first:
            for line in self._tables.describe():
                _LOG.info(line)
        progress = self._start()
        is_stopped = self._train(progress)
        if is_stopped:
            newest = find_checkpoint(self._checkpoints)
            return RunResult(checkpoint=newest, metrics={}, is_stopped=True)
        checkpoint, step = self._choose()
        metrics = {
            name: value
            for split in self._splits
            for name, value in self._evaluator.evaluate(split).items()
        }
        if self._warm_start is not None:
            metrics.update(self._warm_start.measure_alignment().metrics)
        if self._job.is_first:
            write_metrics(
                self._output_dir / METRICS_FILE,
                metrics,
                config_digest=self._config.digest,
                step=step,
            )
        return RunResult(checkpoint=checkpoint, metrics=metrics, is_stopped=False)

    def _prepare_folder(self, restart: bool) -> None:
        if self._job.is_first:
            self._output_dir.mkdir(parents=True, exist_ok=True)
            if restart:
                shutil.rmtree(self._checkpoints, ignore_errors=True)
            else:
                resume.check_same_run(
                    self._checkpoints, self._output_dir / CONFIG_FILE, self._config
                )
            resume.write_config(self._output_dir / CONFIG_FILE, self._config)
        self._job.wait_for_first("run folder")

    def _state(self) -> TrainingState:
        return TrainingState(
            tables={
                entity_type.name: self._tables.local_blocks(entity_type.name)
                for entity_type in self._graph.schema.entity_types
            },
            relations={
                name: parameter.detach()
                for name, parameter in self._model.parameters_by_name.items()
            },
            relation_optimizer=self._relation_optimizer.state_dict(),
        )

    def _start(self) -> Progress:
        """Fills tables and relations: from the newest checkpoint, or anew."""
        state = self._state()
        progress = load_newest(
            self._checkpoints,
            state,
            schema=self._graph.schema,
            group=self._job.group,
            graph_digest=self._graph_digest(),
        )
        if self._earlier is not None:
            self._warm_start = WarmStart(
                self._earlier,
                graph=self._graph,
                tables=state.tables,
                embedding_dim=self._settings.model.embedding_dim,
                ranks=self._job,
            )
        if progress is None:
            self._start_anew(state)
            return Progress()
        self._take_over(state, progress)
        if self._job.is_first:
            _LOG.info(
                "event=resumed step=%d epoch=%d", progress.step, progress.epoch + 1
            )
        return progress

    def _start_anew(self, state: TrainingState) -> None:
        """Fills tables at random, or from the earlier model."""
        self._tables.initialize(
            init_scale=self._settings.model.init_scale,
            seed=self._settings.training.seed,
        )
        self._add_neighborhoods()
        if self._warm_start is None:
            return
        settings = self._settings.warm_start
        self._warm_start.fill_rows(settings)
        self._warm_start.fill_relations(
            self._relations,
            state.relations,
            state.relation_optimizer if settings.optimizer_state else None,
        )
        self._relation_optimizer.load_state_dict(state.relation_optimizer)

    def _add_neighborhoods(self) -> None:
        model = self._settings.model
        if not model.init_hops:
            return
        start = time.monotonic()
        add_neighborhoods(
            self._tables,
            files=self._graph.edge_files("train"),
            schema=self._graph.schema,
            relation_weights=[relation.loss_weight for relation in self._relations],
            num_hops=model.init_hops,
            norm=model.init_scale * math.sqrt(model.embedding_dim),
            job=self._job,
        )
        if self._job.is_first:
            _LOG.info(
                "event=neighborhoods num_hops=%d secs=%.1f",
                model.init_hops,
                time.monotonic() - start,
            )

    def _take_over(self, state: TrainingState, progress: Progress) -> None:
        """Hands loaded values on that are no views."""
        self._relation_optimizer.load_state_dict(state.relation_optimizer)
        self._tables.set_step(progress.step)

    def _train(self, progress: Progress) -> bool:
        """Trains on; returns whether a signal stopped it."""
        settings = self._settings
        reader = self._make_reader()
        writer = self._make_writer()
        with contextlib.ExitStack() as stack:
            stack.callback(writer.close)
            log = self._make_log(reader, progress) if self._job.is_first else None
            if log is not None:
                stack.enter_context(log)
            trainer = Trainer(
                settings,
                TrainerParts(
                    reader=reader,
                    builder=self._make_builder(),
                    step=TrainingStep(
                        settings=settings,
                        tables=self._tables,
                        model=self._model,
                        relation_optimizer=self._relation_optimizer,
                        job=self._job,
                        prior=self._make_prior(),
                    ),
                    make_state=self._state,
                    evaluator=self._evaluator,
                    checkpoints=writer,
                    log=log,
                    job=self._job,
                ),
                progress,
            )
            trainer.run()
            return trainer.is_stopped

    def _make_prior(self) -> Prior | None:
        if self._warm_start is None:
            return None
        return self._warm_start.make_prior(self._table_settings)

    def _choose(self) -> tuple[Path, int]:
        """Loads the best checkpoint, or stays at the newest; returns it and its step."""
        newest = find_checkpoint(self._checkpoints)
        chosen = newest
        if self._settings.evaluation.best_metric is not None:
            chosen = find_checkpoint(self._checkpoints, which=CheckpointChoice.BEST)
        reader = CheckpointReader(chosen)
        if chosen != newest:
            state = self._state()
            progress = reader.load_into(state, schema=self._graph.schema)
            self._take_over(state, progress)
        return chosen, reader.step

    def _make_reader(self) -> EdgeReader:
        training = self._settings.training
        return EdgeReader(
            files=self._graph.edge_files("train"),
            schema=self._graph.schema,
            batch_size=training.batch_size,
            seed=training.seed,
            shuffle_window=training.shuffle_window,
            rank=self._job.rank,
            world_size=self._job.world_size,
            sampling_rates=[relation.sampling_rate for relation in self._relations],
        )

    def _make_builder(self) -> StepBatchBuilder:
        negatives, schema = self._settings.negatives, self._graph.schema
        degrees = None
        if negatives.num_by_degree or negatives.logq_correction:
            degrees = {
                entity_type.name: self._graph.load_degrees(entity_type.name)
                for entity_type in schema.entity_types
            }
        known_edges = None
        if negatives.mask_known is MaskKnown.TRAIN:
            known_edges = KnownEdges(
                read_edges(self._graph.edge_files("train"), schema)
            )
        return StepBatchBuilder(
            schema=schema,
            settings=negatives,
            loss_weights=[relation.loss_weight for relation in self._relations],
            batch_size=self._settings.training.batch_size,
            seed=self._settings.training.seed,
            rank=self._job.rank,
            world_size=self._job.world_size,
            shared_group=self._job.new_cpu_group()
            if negatives.share_across_ranks
            else None,
            degrees=degrees,
            known_edges=known_edges,
            ranked_sides=known_flow.ranked_sides(self._settings.loss),
            for_compiled_loops=compiled_parts.serves(
                self._settings.model.comparator,
                self._settings.loss,
                self._job.device,
            ),
        )

    def _make_writer(self) -> CheckpointWriter:
        return CheckpointWriter(
            self._checkpoints,
            schema=self._graph.schema,
            embedding_dim=self._settings.model.embedding_dim,
            config_text=self._config.text,
            config_digest=self._config.digest,
            keep_last=self._settings.checkpoint.keep_last,
            group=self._job.group,
            graph_digest=self._graph_digest(),
            prepared=None if self._graph.folder is None else str(self._graph.folder),
            timeout=self._job.timeout,
        )

    def _graph_digest(self) -> str | None:
        manifest = self._graph.manifest
        return None if manifest is None else manifest.digest

    def _make_log(self, reader: EdgeReader, progress: Progress) -> RunLog:
        training = self._settings.training
        return RunLog(
            self._output_dir,
            first_step=progress.step,
            num_steps=count_steps(self._settings, reader),
            num_epochs=training.num_epochs,
            interval_steps=training.log_interval_steps,
        )


def _make_model(
    settings: TrainConfig, relations: tuple[Relation, ...]
) -> RelationModel:
    return RelationModel(
        operators=[relation.operator for relation in relations],
        embedding_dim=settings.model.embedding_dim,
        comparator=settings.model.comparator,
        reciprocal=settings.model.reciprocal,
        types=[(relation.lhs, relation.rhs) for relation in relations],
        seed=settings.training.seed,
    )
