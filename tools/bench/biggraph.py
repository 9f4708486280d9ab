# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The same workload in PyTorch-BigGraph, run by its own interpreter path.

    python tools/bench/biggraph.py WORKLOAD.json FOLDER

trains in FOLDER and prints one JSON object. `torchbiggraph` and `h5py` must be
importable: tools/bench/train.py puts --pbg_dir on the path.
"""

import importlib
import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

if not __package__:  # Run as a file: the root is not on the path yet.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.bench.training_workload import Workload

_PROCESSED = re.compile(r"Processed (\d+) edges in ([\d.e+-]+) s")


def write_input(
    folder: Path, edges: Sequence[NDArray[np.int64]], num_entities: Mapping[str, int]
) -> None:
    """Writes edges and counts in PyTorch-BigGraph's format.

    Args:
      folder: The folder of the run.
      edges: lhs, rel and rhs, each [n] int64.
      num_entities: The number of rows of each entity type.
    """
    # Not among our dependencies: the peer brings it.
    h5py = importlib.import_module("h5py")
    (folder / "edges").mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "edges" / "edges_0_0.h5", "w") as file:
        file.attrs["format_version"] = 1
        for name, values in zip(("lhs", "rel", "rhs"), edges, strict=True):
            file.create_dataset(name, data=values)
    for name, count in num_entities.items():
        (folder / f"entity_count_{name}_0.txt").write_text(f"{count}\n")


def make_config(workload: Workload, folder: Path) -> dict[str, object]:
    """Returns a configuration with equal dimension, negatives and loss."""
    return {
        "entity_path": str(folder),
        "edge_paths": [str(folder / "edges")],
        "checkpoint_path": str(folder / "model"),
        "entities": {
            f"type{i}": {"num_partitions": 1} for i in range(workload.num_entity_types)
        },
        "relations": [
            {"name": f"relation{r}", "lhs": lhs, "rhs": rhs, "operator": "translation"}
            for r, (lhs, rhs) in enumerate(workload.relation_types())
        ],
        "dimension": workload.dim,
        "comparator": "dot",
        "loss_fn": "softmax",
        "lr": 0.1,
        "num_epochs": 1,
        "batch_size": 1000,
        "num_batch_negs": workload.num_negatives // 2,
        "num_uniform_negs": workload.num_negatives - workload.num_negatives // 2,
        "workers": 2,
        "eval_fraction": 0.0,
    }


def train(config: dict[str, object]) -> list[str]:
    """Trains, and returns what was logged."""
    peer_config = importlib.import_module("torchbiggraph.config")
    peer_train = importlib.import_module("torchbiggraph.train")
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger = logging.getLogger("torchbiggraph")
    logger.setLevel(logging.INFO)
    logger.addHandler(Keep())
    peer_train.train(peer_config.parse_config(config))
    return lines


def main(argv: list[str]) -> None:
    """Trains and prints."""
    workload = Workload(**json.loads(Path(argv[1]).read_text()))
    folder = Path(argv[2])
    write_input(
        folder,
        [np.concatenate(columns) for columns in zip(*workload.edges(), strict=True)],
        {f"type{i}": workload.type_size for i in range(workload.num_entity_types)},
    )
    lines = train(make_config(workload, folder))
    found = [match for line in lines if (match := _PROCESSED.search(line))]
    if not found:
        raise SystemExit("torchbiggraph printed no speed:\n" + "\n".join(lines))
    num_edges, secs = int(found[-1][1]), float(found[-1][2])
    print(json.dumps({"edges_per_sec": num_edges / secs}))


if __name__ == "__main__":
    main(sys.argv)
