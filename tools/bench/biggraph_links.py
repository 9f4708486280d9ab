# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Trains ComplEx in PyTorch-BigGraph, run by its own interpreter path.

    python tools/bench/biggraph_links.py DESCRIPTION.json FOLDER

trains in FOLDER and leaves the entities' vectors and the relations' parameters in
FOLDER/vectors.npz. DESCRIPTION.json is a `Links`.
"""

import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds

if not __package__:  # Run as a file: the root is not on the path yet.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.bench import biggraph

_ENTITY = "entity"
_OPERATORS = "model/relations/0/operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """A graph of one entity type, and how it is trained.

    Attributes:
      edges: A folder of parquet files with lhs, rel and rhs.
      num_entities: Rows.
      num_relations: Relations.
      dim: Embedding dimension.
      num_negatives: Uniform negatives of an edge on each side.
      num_epochs: Epochs.
    """

    edges: str
    num_entities: int
    num_relations: int
    dim: int
    num_negatives: int
    num_epochs: int


def make_config(links: Links, folder: Path) -> dict[str, object]:
    """Returns what the peer's own example for FB15k has, at the sizes of `links`."""
    return {
        "entity_path": str(folder),
        "edge_paths": [str(folder / "edges")],
        "checkpoint_path": str(folder / "model"),
        "entities": {_ENTITY: {"num_partitions": 1}},
        "relations": [
            {
                "name": "all",
                "lhs": _ENTITY,
                "rhs": _ENTITY,
                "operator": "complex_diagonal",
            }
        ],
        # One operator for each direction, as our reciprocal relations.
        "dynamic_relations": True,
        "dimension": links.dim,
        "global_emb": False,
        "comparator": "dot",
        "loss_fn": "softmax",
        "lr": 0.1,
        "num_epochs": links.num_epochs,
        "num_uniform_negs": links.num_negatives,
        "workers": 2,
        "eval_fraction": 0.0,
    }


def main(argv: list[str]) -> None:
    """Trains, and saves the last version."""
    h5py = importlib.import_module("h5py")
    links = Links(**json.loads(Path(argv[1]).read_text()))
    folder = Path(argv[2])
    table = ds.dataset(links.edges).to_table(["lhs", "rel", "rhs"])
    edges = [table[name].to_numpy() for name in table.column_names]
    biggraph.write_input(folder, edges, {_ENTITY: links.num_entities})
    (folder / "dynamic_rel_count.txt").write_text(f"{links.num_relations}\n")
    biggraph.train(make_config(links, folder))
    version = (folder / "model" / "checkpoint_version.txt").read_text().strip()
    with h5py.File(folder / "model" / f"embeddings_{_ENTITY}_0.v{version}.h5") as file:
        rows = file["embeddings"][...]
    with h5py.File(folder / "model" / f"model.v{version}.h5") as file:
        lhs, rhs = (
            np.concatenate(
                [file[f"{_OPERATORS}/{side}/{part}"][...] for part in ("real", "imag")],
                axis=1,
            )
            for side in ("lhs", "rhs")
        )
    np.savez(folder / "vectors.npz", rows=rows, lhs=lhs, rhs=rhs)


if __name__ == "__main__":
    main(sys.argv)
