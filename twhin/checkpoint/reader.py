# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Reads one checkpoint, in any process and for any number of ranks."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from twhin.checkpoint import checksum_files, save_planner
from twhin.checkpoint.manifest import CONFIG_FILE, load_manifest
from twhin.checkpoint.save_planner import RELATION_OPTIMIZER
from twhin.checkpoint.stored_tensors import StoredTensors
from twhin.checkpoint.table_part import TablePart
from twhin.checkpoint.training_state import Progress, TrainingState
from twhin.errors import CheckpointError
from twhin.graph.schema import GraphSchema


class CheckpointReader:
    """The content of a checkpoint; no process group is needed.

    Rows are read in pieces of at most 16 MiB: beside its result a read takes
    three times that.

    Attributes:
      folder: The folder of the checkpoint.
      schema: Entity types and relations.
      embedding_dim: D.
      config_text: The resolved configuration, YAML.
      config_digest: Its SHA-256.
      graph_digest: The digest of the prepared graph; None for encoded edges.
      prepared: The folder of the prepared graph; None for encoded edges.
      world_size: The number of ranks that saved.
      step: The number of updates so far.
      progress: How far training was.
    """

    def __init__(self, folder: Path, *, verify: bool = True) -> None:
        """Opens a checkpoint.

        Args:
          folder: A complete checkpoint.
          verify: Whether all files are read, to compare their checksums;
            otherwise only their sizes are compared.

        Raises:
          CheckpointError: A file is missing or damaged; the message names it.
        """
        manifest = load_manifest(folder)
        if verify:
            checksum_files.check_files(folder, manifest.files)
        else:
            checksum_files.check_sizes(folder, manifest.files)
        self.folder = folder
        self._tensors = StoredTensors(folder)
        self.schema = manifest.schema
        self.embedding_dim = manifest.embedding_dim
        self.config_text = (folder / CONFIG_FILE).read_text(encoding="utf-8")
        self.config_digest = manifest.config_digest
        self.graph_digest = manifest.graph_digest
        self.prepared = manifest.prepared
        self.world_size = manifest.world_size
        self.progress = manifest.progress
        self.step = manifest.progress.step

    def read_rows(self, entity_type: str, start: int, stop: int) -> Tensor:
        """Returns rows of a table, [stop - start, D] of the stored dtype.

        Raises:
          CheckpointError: There are no such rows.
        """
        return self._read_rows(save_planner.weight_key(entity_type), start, stop)

    def state_names(self, entity_type: str) -> tuple[str, ...]:
        """Returns the names of the states of a table's optimizer."""
        names = self._tensors.names_below(save_planner.state_key(entity_type, ""))
        return tuple(name for name in names if name != save_planner.WEIGHT)

    def read_state(self, entity_type: str, name: str, start: int, stop: int) -> Tensor:
        """Returns an optimizer's state of rows, [stop - start] or [stop - start, D].

        Raises:
          CheckpointError: There is no such state, or there are no such rows.
        """
        return self._read_rows(save_planner.state_key(entity_type, name), start, stop)

    def relation_parameters(self) -> dict[str, Tensor]:
        """Returns the parameters of the relations by name, [R, P] each."""
        return {
            name: self._read_rows(key, 0, self._tensors.shape(key)[0])
            for name, key in self._relation_keys().items()
        }

    def relation_optimizer(self) -> dict[str, Any]:
        """Returns the `state_dict()` of the relations' optimizer."""
        state: dict[str, Any] = self._tensors.read_bytes(RELATION_OPTIMIZER)
        return state

    def load_into(self, state: TrainingState, *, schema: GraphSchema) -> Progress:
        """Fills the tensors of this rank in place.

        No collective: each rank reads what its views cover, however many ranks
        had saved, and however they had divided the tables.

        Args:
          state: This rank's views.
          schema: The schema that they belong to.

        Raises:
          CheckpointError: The checkpoint is of another graph or another model;
            `state` may be filled in part where a file is damaged.
        """
        self._check_schema(schema)
        self._check_relations(state)
        for name, parts in state.tables.items():
            for part in parts:
                self._check_part(name, part)
        for name, parts in state.tables.items():
            for part in parts:
                self._load_part(name, part)
        for name, parameters in state.relations.items():
            key = save_planner.relation_key(name)
            self._tensors.read(key, (0,) * parameters.dim(), parameters.detach())
        optimizer = self.relation_optimizer()
        state.relation_optimizer.clear()
        state.relation_optimizer.update(optimizer)
        return self.progress

    def _read_rows(self, key: str, start: int, stop: int) -> Tensor:
        if not 0 <= start <= stop:
            raise CheckpointError(f"{self.folder}: rows {start} to {stop} of {key!r}")
        shape = (stop - start, *self._tensors.shape(key)[1:])
        rows = torch.empty(shape, dtype=self._tensors.dtype(key))
        self._tensors.read(key, (start,) + (0,) * (len(shape) - 1), rows)
        return rows

    def _relation_keys(self) -> dict[str, str]:
        """Returns the keys of the relation parameters by their names."""
        names = self._tensors.names_below(save_planner.relation_key(""))
        return {name: save_planner.relation_key(name) for name in names}

    def _load_part(self, entity_type: str, part: TablePart) -> None:
        weight = save_planner.weight_key(entity_type)
        self._tensors.read(weight, (part.start, part.column_start), part.rows)
        for name, values in part.state.items():
            key = save_planner.state_key(entity_type, name)
            offsets = (part.start, part.column_start)[: values.dim()]
            self._tensors.read(key, offsets, values)

    def _check_schema(self, schema: GraphSchema) -> None:
        if self.schema == schema:
            return
        ours = {t.name: t.num_entities for t in self.schema.entity_types}
        wanted = {t.name: t.num_entities for t in schema.entity_types}
        if ours != wanted:
            raise CheckpointError(
                f"{self.folder}: is of the entities {ours}; the graph has {wanted};"
                " warm_start.checkpoint joins different ones"
            )
        raise CheckpointError(
            f"{self.folder}: is of the relations"
            f" {[r.name for r in self.schema.relations]}; the graph has"
            f" {[r.name for r in schema.relations]}; warm_start.checkpoint joins"
            " different ones"
        )

    def _check_relations(self, state: TrainingState) -> None:
        ours = {
            name: list(self._tensors.shape(key))
            for name, key in self._relation_keys().items()
        }
        wanted = {name: list(values.shape) for name, values in state.relations.items()}
        if ours != wanted:
            raise CheckpointError(
                f"{self.folder}: has the relation parameters {ours}; the model has"
                f" {wanted}; allowed: the same operators and embedding_dim"
            )

    def _check_part(self, entity_type: str, part: TablePart) -> None:
        names = self.state_names(entity_type)
        if set(names) != set(part.state):
            raise CheckpointError(
                f"{self.folder}: the optimizer of {entity_type!r} has the states"
                f" {sorted(names)}; the table's has {sorted(part.state)}; allowed: the"
                " same optimizer"
            )
        key = save_planner.weight_key(entity_type)
        dtype = self._tensors.dtype(key)
        if dtype != part.rows.dtype:
            raise CheckpointError(
                f"{self.folder}: the table of {entity_type!r} is {dtype}; the model's"
                f" is {part.rows.dtype}; allowed: the same dtype"
            )
        for name, values in part.state.items():
            stored = self._tensors.shape(save_planner.state_key(entity_type, name))
            if len(stored) != values.dim():
                raise CheckpointError(
                    f"{self.folder}: the state {name!r} of {entity_type!r} has the"
                    f" shape {list(stored)}; the table's has {values.dim()} dimensions;"
                    " allowed: the same optimizer"
                )
