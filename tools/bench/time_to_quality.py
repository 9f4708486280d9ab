# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

r"""Measures how long ComplEx trains to the quality that a peer reaches.

    ./bazelw run //tools/bench:time_to_quality -- --work=/tmp/bench \
        --config=twhin/configs/fb15k237_complex.yaml --data_root=FOLDER \
        --pbg_dir=CHECKOUT

1. Ours trains and ranks all validation edges after every epoch.
2. PyTorch-BigGraph trains the same edges, with as many dimensions and negatives;
   our evaluator ranks with its vectors.
3. Ours trains again, up to the first epoch that was as good.

Prints one JSON object. Times are those of whole processes, start and, for ours, the
evaluations at the end included.
"""

import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from absl import app, flags

if not __package__:  # Run as a file: the root is not on the path yet.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.bench import biggraph_links, training_process
from tools.bench.biggraph_links import Links
from twhin.config.resolved_config import ResolvedConfig, load_config
from twhin.evaluation.dense_tables import DenseTables
from twhin.evaluation.evaluator import Evaluator
from twhin.evaluation.history import read_history
from twhin.graph.open_graph import PREPARED_FOLDER, open_prepared
from twhin.graph.prepared_graph import PreparedGraph
from twhin.model.relation_model import RelationModel
from twhin.scoring import Operator

_WORK = flags.DEFINE_string("work", None, "A folder for all files.", required=True)
_CONFIG = flags.DEFINE_string("config", None, "Trains ComplEx.", required=True)
_DATA_ROOT = flags.DEFINE_string("data_root", None, "The graph.", required=True)
_OVERRIDE = flags.DEFINE_multi_string("override", [], "As //twhin:train has it.")
_PBG_DIR = flags.DEFINE_string(
    "pbg_dir", None, "A folder with the package torchbiggraph.", required=True
)
_PBG_EPOCHS = flags.DEFINE_integer("pbg_epochs", 20, "Epochs of the peer.")

_METRIC = "valid/link_prediction/filtered/mrr"


def train(output: Path, overrides: list[str]) -> float:
    """Trains ours; returns the seconds of the process."""
    shutil.rmtree(output, ignore_errors=True)
    data = f"data.root={Path(_DATA_ROOT.value).absolute()}"
    return training_process.train(
        Path(_CONFIG.value), output, [data, *_OVERRIDE.value, *overrides]
    ).wall_secs


def curve(output: Path) -> list[float]:
    """Returns the metric after each epoch."""
    return [entry[_METRIC] for entry in read_history(output) if _METRIC in entry]


def train_biggraph(links: Links, folder: Path) -> float:
    """Trains the peer; returns the seconds of the process."""
    return training_process.train_biggraph(
        biggraph_links.__file__, links, folder, _PBG_DIR.value
    ).wall_secs


def evaluate_biggraph(
    folder: Path, config: ResolvedConfig, graph: PreparedGraph
) -> float:
    """Returns the metric of the peer's vectors."""
    settings = config.settings
    vectors = np.load(folder / "vectors.npz")
    rows = torch.from_numpy(vectors["rows"]).float()
    model = RelationModel(
        operators=[Operator.COMPLEX_DIAGONAL] * len(graph.schema.relations),
        embedding_dim=settings.model.embedding_dim,
        comparator=settings.model.comparator,
        reciprocal=True,
    )
    # The peer's operator on the lhs ranks the rhs.
    for parameters, name in zip(model.parameters(), ("lhs", "rhs"), strict=True):
        parameters.data.copy_(torch.from_numpy(vectors[name]))
    evaluator = Evaluator(
        dataclasses.replace(settings.evaluation, num_edges=0),
        graph=graph,
        model=model,
        comparator=settings.model.comparator,
        tables=DenseTables(
            schema=graph.schema,
            embedding_dim=settings.model.embedding_dim,
            read_rows=lambda name, start, stop: rows[start:stop],
            device=torch.device("cpu"),
        ),
        device=torch.device("cpu"),
        seed=settings.training.seed,
    )
    return evaluator.evaluate("valid")[_METRIC]


def main(argv: list[str]) -> None:
    """Trains both, and prints."""
    del argv
    work = Path(_WORK.value)
    train(work / "ours", ["evaluation.interval_epochs=1", "evaluation.num_edges=0"])
    root = f"data.root={_DATA_ROOT.value}"
    config = load_config(Path(_CONFIG.value), [*_OVERRIDE.value, root])
    graph = open_prepared(config.settings, work / "ours")
    ours = curve(work / "ours")
    links = Links(
        edges=str(work / "ours" / PREPARED_FOLDER / "edges" / "train"),
        num_entities=graph.schema.entity_types[0].num_entities,
        num_relations=len(graph.schema.relations),
        dim=config.settings.model.embedding_dim,
        num_negatives=config.settings.negatives.num_uniform,
        num_epochs=_PBG_EPOCHS.value,
    )
    secs = {"biggraph": train_biggraph(links, work / "biggraph")}
    target = evaluate_biggraph(work / "biggraph", config, graph)
    result = {"target": target, "curve": ours, "biggraph_epochs": links.num_epochs}
    reached = [epoch for epoch, value in enumerate(ours, 1) if value >= target]
    if reached:
        only = reached[0]
        last = [f"training.num_epochs={only}", f"evaluation.interval_epochs={only}"]
        secs["ours"] = train(work / "again", last)
        metrics = json.loads((work / "again" / "metrics.json").read_text())
        result |= {
            "epochs": only,
            "reached": metrics[_METRIC],
            "share_of_biggraph_secs": secs["ours"] / secs["biggraph"],
        }
    print(json.dumps(result | {"secs": secs, "num_cores": os.cpu_count()}, indent=1))


if __name__ == "__main__":
    app.run(main)
