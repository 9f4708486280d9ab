# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Which tensors a rank writes, in pieces of bounded size."""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import (
    BytesIOWriteData,
    SavePlan,
    TensorWriteData,
    WriteItem,
    WriteItemType,
)

from twhin.checkpoint.table_part import TablePart
from twhin.checkpoint.training_state import TrainingState
from twhin.graph.schema import GraphSchema

RELATION_OPTIMIZER = "relation_optimizer"
"""The key of the relation optimizer's state, bytes of `torch.save`."""

WEIGHT = "weight"
"""The name of a table's rows, beside the names of its optimizer's states."""

MAX_PIECE_BYTES = 16 << 20
"""What is written, and must be read, at once: bounds the memory of both."""


def weight_key(entity_type: str) -> str:
    """Returns the key of a table's rows, [rows, D]."""
    return state_key(entity_type, WEIGHT)


def state_key(entity_type: str, name: str) -> str:
    """Returns the key of a state of a table's optimizer, [rows] or [rows, D]."""
    return f"tables/{entity_type}/{name}"


def relation_key(name: str) -> str:
    """Returns the key of relation parameters, [R, P]."""
    return f"relations/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A box of a global tensor.

    Attributes:
      key: The name of the global tensor.
      size: Its shape.
      offsets: Where the box starts in it.
      values: The box, a view.
    """

    key: str
    size: tuple[int, ...]
    offsets: tuple[int, ...]
    values: Tensor


class StateSavePlanner(DefaultSavePlanner):
    """Tells torch.distributed.checkpoint what this rank writes.

    Parts of tables are boxes of global tensors, so that any number of ranks can
    load them. A tensor that several ranks offer is written by one of them.
    """

    def __init__(
        self, state: TrainingState, schema: GraphSchema, embedding_dim: int
    ) -> None:
        """Plans to save a state.

        Args:
          state: This rank's tensors.
          schema: Names and sizes of the entity types.
          embedding_dim: D.
        """
        super().__init__(flatten_state_dict=False)
        self._state = state
        self._schema = schema
        self._embedding_dim = embedding_dim
        self._optimizer = io.BytesIO()
        self._pieces: dict[MetadataIndex, Piece] = {}

    def set_up_planner(
        self,
        state_dict: dict[str, Any],
        storage_meta: StorageMeta | None = None,
        is_coordinator: bool = False,
    ) -> None:
        """Takes nothing from `state_dict`: the state is there already."""
        self.is_coordinator = is_coordinator

    def create_local_plan(self) -> SavePlan:
        """Returns what this rank has to write.

        Raises:
          ValueError: A state of an optimizer does not belong to rows.
        """
        torch.save(self._state.relation_optimizer, self._optimizer)
        self._pieces = {
            MetadataIndex(piece.key, piece.offsets): piece
            for whole in _tensors(self._state, self._schema, self._embedding_dim)
            for piece in _split(whole)
        }
        items = [
            _write_item(index, piece)
            for index, piece in self._pieces.items()
            if piece.key.startswith("tables/") or self.is_coordinator
        ]
        if self.is_coordinator:
            items.append(
                WriteItem(
                    index=MetadataIndex(RELATION_OPTIMIZER),
                    type=WriteItemType.BYTE_IO,
                    bytes_io_data=BytesIOWriteData(self._optimizer.getbuffer().nbytes),
                )
            )
        return SavePlan(items)

    def create_global_plan(
        self, all_plans: list[SavePlan]
    ) -> tuple[list[SavePlan], Metadata]:
        """Returns what each rank writes, and the index of all of it.

        Raises:
          ValueError: The parts of the ranks do not make up a tensor.
        """
        plans, metadata = super().create_global_plan(all_plans)
        for key, tensor in metadata.state_dict_metadata.items():
            if isinstance(tensor, TensorStorageMetadata):
                found = sum(math.prod(chunk.sizes) for chunk in tensor.chunks)
                if found != math.prod(tensor.size):
                    raise ValueError(
                        f"{key}: {found} elements on all ranks; expected"
                        f" {math.prod(tensor.size)}"
                    )
        return plans, metadata

    def resolve_data(self, write_item: WriteItem) -> Tensor | io.BytesIO:
        """Returns the values of an item."""
        if write_item.type is WriteItemType.BYTE_IO:
            return self._optimizer
        return self._pieces[write_item.index].values.detach()


def _tensors(
    state: TrainingState, schema: GraphSchema, embedding_dim: int
) -> Iterator[Piece]:
    """Yields this rank's box of each global tensor, whole."""
    for name, parts in state.tables.items():
        rows = schema.num_entities(name)
        for part in parts:
            yield _box(weight_key(name), part, part.rows, rows, embedding_dim)
            for kind, values in part.state.items():
                yield _box(state_key(name, kind), part, values, rows, embedding_dim)
    for name, parameters in state.relations.items():
        yield Piece(
            key=relation_key(name),
            size=tuple(parameters.shape),
            offsets=(0,) * parameters.dim(),
            values=parameters,
        )


def _box(
    key: str, part: TablePart, values: Tensor, num_rows: int, embedding_dim: int
) -> Piece:
    """Returns values that lie as the rows of a part do; [n] or [n, d]."""
    dim = values.dim()
    if dim not in (1, 2):
        raise ValueError(
            f"{key}: of shape {tuple(values.shape)}; expected [n] or [n, d]"
        )
    return Piece(
        key=key,
        size=(num_rows, embedding_dim)[:dim],
        offsets=(part.start, part.column_start)[:dim],
        values=values,
    )


def _split(whole: Piece) -> Iterator[Piece]:
    """Yields runs of rows of a box, each at most `MAX_PIECE_BYTES`."""
    num_rows = whole.values.shape[0]
    row_bytes = whole.values[:1].numel() * whole.values.element_size()
    step = max(1, MAX_PIECE_BYTES // max(1, row_bytes))
    for first in range(0, num_rows, step):
        yield Piece(
            key=whole.key,
            size=whole.size,
            offsets=(whole.offsets[0] + first, *whole.offsets[1:]),
            values=whole.values[first : first + step],
        )


def _write_item(index: MetadataIndex, piece: Piece) -> WriteItem:
    return WriteItem(
        index=index,
        type=WriteItemType.SHARD,
        tensor_data=TensorWriteData(
            chunk=ChunkStorageMetadata(
                offsets=torch.Size(piece.offsets), sizes=piece.values.shape
            ),
            properties=TensorProperties(dtype=piece.values.dtype),
            size=torch.Size(piece.size),
        ),
    )
