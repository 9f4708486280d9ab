# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A small run as training leaves it, made without training."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from twhin.checkpoint.table_part import TablePart
from twhin.checkpoint.training_state import Progress, TrainingState
from twhin.checkpoint.writer import CheckpointWriter
from twhin.config.resolved_config import ResolvedConfig, load_config
from twhin.evaluation.dense_tables import DenseTables
from twhin.evaluation.evaluator import Evaluator
from twhin.evaluation.history import HISTORY_FILE
from twhin.evaluation.report import METRICS_FILE, write_metrics
from twhin.graph.open_graph import open_graph
from twhin.graph.prepared_graph import PreparedGraph
from twhin.model.relation_model import RelationModel
from twhin.scoring import Operator

STEP = 40
_TINY = (
    "data.demo.num_users=300",
    "data.demo.num_tweets=400",
    "data.demo.num_advertisements=20",
    "data.demo.num_edges=4000",
    "model.embedding_dim=8",
)


def write_small_run(output_dir: Path, *, overrides: Sequence[str] = ()) -> Path:
    """Writes the folder of a run on a tiny generated graph; its vectors are random.

    Args:
      output_dir: The folder.
      overrides: Of the configuration.

    Returns:
      Its checkpoint.
    """
    config = load_config(None, [*_TINY, *overrides])
    graph = open_graph(config.settings, output_dir)
    model = RelationModel(
        operators=[Operator.TRANSLATION] * len(graph.schema.relations),
        embedding_dim=config.settings.model.embedding_dim,
        comparator=config.settings.model.comparator,
        reciprocal=config.settings.model.reciprocal,
    )
    generator = torch.Generator().manual_seed(0)
    tables = {
        each.name: torch.randn(
            each.num_entities, config.settings.model.embedding_dim, generator=generator
        )
        for each in graph.schema.entity_types
    }
    metrics = _evaluate(config, graph, model, tables)
    write_metrics(
        output_dir / METRICS_FILE,
        metrics,
        config_digest=config.digest,
        step=STEP,
    )
    _write_history(output_dir / HISTORY_FILE, metrics)
    return _write_checkpoint(output_dir, config, graph, model, tables)


def _evaluate(
    config: ResolvedConfig,
    graph: PreparedGraph,
    model: RelationModel,
    tables: dict[str, torch.Tensor],
) -> dict[str, float]:
    evaluator = Evaluator(
        config.settings.evaluation,
        graph=graph,
        model=model,
        comparator=config.settings.model.comparator,
        tables=DenseTables(
            schema=graph.schema,
            embedding_dim=config.settings.model.embedding_dim,
            read_rows=lambda name, start, stop: tables[name][start:stop],
            device=torch.device("cpu"),
        ),
        device=torch.device("cpu"),
        seed=0,
    )
    return evaluator.evaluate("valid") | evaluator.evaluate("test")


def _write_history(path: Path, metrics: dict[str, float]) -> None:
    valid = {name: v for name, v in metrics.items() if name.startswith("valid/")}
    entries: list[dict[str, float]] = []
    for step in range(5, STEP + 1, 5):
        entries.append(
            {
                "step": step,
                "loss": 8.0 - step / 10,
                "edges_per_sec": 1000.0 + step,
                "wait_share": 0.01,
                "learning_rate_factor": 1.0,
            }
        )
        if step % 20 == 0:
            entries.append({"step": step, **valid})
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def _write_checkpoint(
    output_dir: Path,
    config: ResolvedConfig,
    graph: PreparedGraph,
    model: RelationModel,
    tables: dict[str, torch.Tensor],
) -> Path:
    folder = output_dir / "checkpoints"
    writer = CheckpointWriter(
        folder,
        schema=graph.schema,
        embedding_dim=config.settings.model.embedding_dim,
        config_text=config.text,
        config_digest=config.digest,
        keep_last=1,
        group=None,
    )
    state = TrainingState(
        tables={
            name: [TablePart(start=0, rows=rows, state={})]
            for name, rows in tables.items()
        },
        relations={n: p.detach() for n, p in model.parameters_by_name.items()},
        relation_optimizer={},
    )
    writer.save(state, Progress(step=STEP, epoch=2), wait=True)
    writer.close()
    (checkpoint,) = folder.glob("step-*")
    return checkpoint
