# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The manifest of a prepared graph: what is in the folder, and where it is from.

    PREPARED/manifest.json

is written last: a folder that has one is complete.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twhin.errors import DataError
from twhin.graph.schema import GraphSchema

FORMAT_VERSION = 1
"""The version of the folder's layout; a reader refuses any other."""

MANIFEST_FILE = "manifest.json"
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """A file that the graph was prepared from.

    Attributes:
      path: Below `data.root` where it lies there, otherwise absolute or a URL.
      size_bytes: The size of the file.
      digest: blake2b (128 bits, hex) of the content of a local file, or the
        checksum that the file system gives.
    """

    path: str
    size_bytes: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A parquet file of the folder; `path` is relative to it."""

    path: str
    num_rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitManifest:
    """The edges of one split.

    Attributes:
      num_edges: Rows of the files.
      num_input_edges: Rows of the sources that were assigned to this split.
      num_filtered: Rows of this split's sources that their `filter` or
        `sampling_rate` left out.
      num_duplicates: Rows that were merged into an equal edge.
      num_dropped: Edges left out because an entity has no row: rare entities of
        training edges, unseen entities of held-out edges.
      edges_by_relation: Rows of the files by relation name, in index order.
      files: The files, in order.
    """

    num_edges: int
    num_input_edges: int
    num_filtered: int
    num_duplicates: int
    num_dropped: int
    edges_by_relation: Mapping[str, int]
    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabularyManifest:
    """The vocabulary of one entity type.

    Attributes:
      entity_type: Its name.
      id_type: "int64" or "string".
      num_ids: Ids with a row of their own: the rows of the vocabulary files.
      num_rare: Ids cut by `min_degree` or `max_entities`.
      num_unseen: Ids that have a row but no training edge, kept for held-out
        edges.
      shared_row: The row of all rare entities; None where they are dropped.
      shared_row_degree: Training edges that touch rare entities, with a shared
        row.
      num_new: Ids that the base vocabulary lacks; None without a base.
      num_gone: Ids of the base vocabulary that no training edge has any more;
        None without a base.
      degree_quantiles: Quantiles of the degrees of all ids, by "0", "0.5", ...
      files: The files, in order of the index.
    """

    entity_type: str
    id_type: str
    num_ids: int
    num_rare: int
    num_unseen: int
    shared_row: int | None
    shared_row_degree: int
    num_new: int | None
    num_gone: int | None
    degree_quantiles: Mapping[str, int]
    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphManifest:
    """A prepared graph.

    Attributes:
      format_version: `FORMAT_VERSION` of the writer.
      digest: sha256 over the settings that shaped the folder and the digests of
        the inputs: equal digests mean equal graphs.
      schema: Entity types and relations in the order of their indices.
      weighted: Whether edges have a column `weight`.
      splits: By name of the split: "train", "valid", "test".
      vocabularies: In the order of the entity types.
      inputs: The files of raw edges, in the order of the sources.
      warnings: What the preparation found strange, one line each.
    """

    format_version: int
    digest: str
    schema: GraphSchema
    weighted: bool
    splits: Mapping[str, SplitManifest]
    vocabularies: tuple[VocabularyManifest, ...]
    inputs: tuple[InputFile, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> str:
        """Returns the text of `manifest.json`."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    def vocabulary(self, entity_type: str) -> VocabularyManifest:
        """Returns the vocabulary of an entity type.

        Raises:
          KeyError: No entity type has that name.
        """
        for vocabulary in self.vocabularies:
            if vocabulary.entity_type == entity_type:
                return vocabulary
        raise KeyError(entity_type)


def load_manifest(folder: str) -> GraphManifest:
    """Reads the manifest of a prepared graph.

    Raises:
      DataError: The folder is not a complete prepared graph of this version.
    """
    path = Path(folder) / MANIFEST_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{folder}: {MANIFEST_FILE!r} cannot be read ({error.strerror}); allowed:"
            " a folder that //twhin:prepare completed"
        ) from error
    try:
        value = json.loads(text)
        version = value["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not a manifest ({error}); allowed: JSON with 'format_version'"
        ) from error
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path}: format version {version!r}; allowed: {FORMAT_VERSION}; run"
            " //twhin:prepare again"
        )
    try:
        manifest = _from_json(GraphManifest, value)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: damaged: {error!r}; allowed: the fields of format version"
            f" {FORMAT_VERSION}"
        ) from error
    assert isinstance(manifest, GraphManifest)
    return manifest


def _from_json(kind: Any, value: Any) -> Any:
    """Builds a value of the annotated type `kind` from what JSON gave."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = {
            field.name: _from_json(hints[field.name], value[field.name])
            for field in dataclasses.fields(kind)
        }
        return kind(**fields)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return tuple(_from_json(arguments[0], element) for element in value)
    if origin is Mapping:
        return {key: _from_json(arguments[1], item) for key, item in value.items()}
    if origin is types.UnionType:
        return None if value is None else _from_json(arguments[0], value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value
