# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""checkpoint.json: what is in a checkpoint, and the checksums of its files."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twhin.checkpoint.training_state import Progress
from twhin.errors import CheckpointError
from twhin.graph.schema import EntityTypeSchema, GraphSchema, RelationSchema

FORMAT_VERSION = 1
"""The version of the folder's layout; a reader refuses any other."""

MANIFEST_FILE = "checkpoint.json"
CONFIG_FILE = "config.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file of the folder.

    Attributes:
      size_bytes: Its size.
      crc32: The CRC-32 of its content, 8 hexadecimal digits.
    """

    size_bytes: int
    crc32: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointManifest:
    """What `checkpoint.json` says.

    Attributes:
      progress: How far training was.
      world_size: The number of ranks that saved.
      schema: Entity types and relations.
      embedding_dim: D.
      config_digest: The SHA-256 of the resolved configuration.
      graph_digest: The digest in the manifest of the prepared graph; None for
        edges encoded elsewhere.
      prepared: The folder of the prepared graph; None for edges encoded elsewhere.
      files: By name; all files of the folder but `checkpoint.json`.
    """

    progress: Progress
    world_size: int
    schema: GraphSchema
    embedding_dim: int
    config_digest: str
    graph_digest: str | None
    prepared: str | None
    files: Mapping[str, FileEntry]

    def to_json(self) -> str:
        """Returns the text of the file, which ends with a digest of the rest."""
        return _dump(
            {
                "format_version": FORMAT_VERSION,
                "step": self.progress.step,
                "epoch": self.progress.epoch,
                **dataclasses.asdict(self),
            }
        )


def load_manifest(folder: Path) -> CheckpointManifest:
    """Reads `checkpoint.json` and checks it against its own digest.

    Raises:
      CheckpointError: The file is missing, damaged or of another version.
    """
    path = folder / MANIFEST_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); allowed: a complete checkpoint"
        ) from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: damaged ({error}); allowed: UTF-8") from error
    try:
        values = json.loads(text)
        is_intact = text == _dump(values)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: damaged ({error}); allowed: what a checkpoint writer wrote"
        ) from error
    if not is_intact:
        raise CheckpointError(
            f"{path}: damaged: does not agree with its own digest; allowed: what a"
            " checkpoint writer wrote"
        )
    if values["format_version"] != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version {values['format_version']!r}; allowed:"
            f" {FORMAT_VERSION}"
        )
    return _from_json(values)


def _dump(values: Mapping[str, Any]) -> str:
    """Returns JSON whose last field is the SHA-256 of the JSON without it."""
    content = {name: value for name, value in values.items() if name != "digest"}
    text = json.dumps(content, indent=1)
    content["digest"] = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps(content, indent=1) + "\n"


def _from_json(values: Mapping[str, Any]) -> CheckpointManifest:
    schema = values["schema"]
    return CheckpointManifest(
        progress=Progress(**values["progress"]),
        world_size=values["world_size"],
        schema=GraphSchema(
            entity_types=tuple(EntityTypeSchema(**t) for t in schema["entity_types"]),
            relations=tuple(RelationSchema(**r) for r in schema["relations"]),
        ),
        embedding_dim=values["embedding_dim"],
        config_digest=values["config_digest"],
        graph_digest=values["graph_digest"],
        prepared=values["prepared"],
        files={name: FileEntry(**entry) for name, entry in values["files"].items()},
    )
