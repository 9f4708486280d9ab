# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Files for TensorBoard's embedding projector.

    projector_config.pbtxt      names the other files
    ENTITY_TYPE.tsv             vectors, one a line
    ENTITY_TYPE_metadata.tsv    id and degree of each

`tensorboard --logdir VERSION/projector` shows them. The projector lives in a
browser: of a large table the entities with the most training edges are taken.
"""

import json
from pathlib import Path

import numpy as np

from twhin.bundle.bundle import Bundle
from twhin.bundle.id_hash import Int64Array

_MAX_ROWS = 10_000
_CONFIG_FILE = "projector_config.pbtxt"


def write_projector(
    bundle: Bundle, entity_type: str, folder: Path, degrees: Int64Array
) -> None:
    """Writes the files of one entity type.

    Args:
      bundle: With all shards.
      entity_type: The entity type.
      folder: The folder, which is there.
      degrees: int64 [num_rows], the training edges of each row of the bundle.
    """
    rows = np.argsort(-degrees, kind="stable")[:_MAX_ROWS]
    ids = bundle.ids(entity_type, rows)
    vectors = bundle.vectors(entity_type, rows)
    with (folder / f"{entity_type}.tsv").open("w", encoding="utf-8") as file:
        np.savetxt(file, vectors, fmt="%.6g", delimiter="\t")
    metadata = folder / f"{entity_type}_metadata.tsv"
    with metadata.open("w", encoding="utf-8") as file:
        file.write("id\tdegree\n")
        for entity_id, degree in zip(ids.tolist(), degrees[rows].tolist(), strict=True):
            file.write(f"{_cell(entity_id)}\t{degree}\n")


def write_projector_config(entity_types: tuple[str, ...], folder: Path) -> None:
    """Writes the file that names those of all entity types."""
    entries = [
        "embeddings {\n"
        f"  tensor_name: {json.dumps(entity_type)}\n"
        f"  tensor_path: {json.dumps(entity_type + '.tsv')}\n"
        f"  metadata_path: {json.dumps(entity_type + '_metadata.tsv')}\n"
        "}\n"
        for entity_type in entity_types
    ]
    (folder / _CONFIG_FILE).write_text("".join(entries), encoding="utf-8")


def _cell(entity_id: object) -> str:
    """Returns an id as a cell: the format has no way to write a tab or a line end."""
    return " ".join(str(entity_id).split())
