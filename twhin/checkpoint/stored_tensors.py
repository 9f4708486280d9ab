# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Boxes of the global tensors of a checkpoint, read with bounded memory."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorStorageMetadata,
)

from twhin.errors import CheckpointError


class StoredTensors:
    """The tensors that torch.distributed.checkpoint has written to a folder.

    A piece is read whole and copied to where it belongs; the last one is kept,
    for reads that go through a tensor in small steps. Not for several threads.
    """

    def __init__(self, folder: Path) -> None:
        """Reads the index of a folder, whose files have been checked.

        Raises:
          CheckpointError: It cannot be read.
        """
        self._folder = folder
        try:
            self._metadata: Metadata = FileSystemReader(folder).read_metadata()
        except (OSError, pickle.UnpicklingError, EOFError, AttributeError) as error:
            raise CheckpointError(
                f"{folder / '.metadata'}: cannot be read ({error}); allowed: what this"
                " version of torch.distributed.checkpoint wrote"
            ) from error
        self._kept: tuple[MetadataIndex, Tensor] | None = None

    def names_below(self, prefix: str) -> tuple[str, ...]:
        """Returns what stands behind a prefix in the keys that have it, sorted."""
        return tuple(
            key.removeprefix(prefix)
            for key in sorted(self._metadata.state_dict_metadata)
            if key.startswith(prefix)
        )

    def shape(self, key: str) -> tuple[int, ...]:
        """Returns the shape of a tensor.

        Raises:
          CheckpointError: There is no such tensor.
        """
        return tuple(self._tensor(key).size)

    def dtype(self, key: str) -> torch.dtype:
        """Returns the dtype of a tensor.

        Raises:
          CheckpointError: There is no such tensor.
        """
        return self._tensor(key).properties.dtype

    def read(self, key: str, offsets: tuple[int, ...], target: Tensor) -> None:
        """Fills a tensor with a box of a stored one.

        Args:
          key: The name of the stored tensor.
          offsets: Where the box starts in it.
          target: Of the shape of the box; any dtype and device, may be a view.

        Raises:
          CheckpointError: There is no such tensor, the box does not lie inside
            it, or a file is damaged.
        """
        stored = self._tensor(key)
        stops = [o + n for o, n in zip(offsets, target.shape, strict=True)]
        if any(stop > n for stop, n in zip(stops, stored.size, strict=True)):
            raise CheckpointError(
                f"{self._folder}: {key!r} has the shape {list(stored.size)}; wanted is a"
                f" part that ends at {stops}"
            )
        num_missing = target.numel()
        for chunk in stored.chunks:
            overlap = _overlap(chunk, offsets, target.shape)
            if overlap is None:
                continue
            in_chunk, in_target = overlap
            piece = self._load(MetadataIndex(key, chunk.offsets))[in_chunk]
            target[in_target].copy_(piece)
            num_missing -= piece.numel()
        if num_missing:
            raise CheckpointError(
                f"{self._folder}: {key!r} lacks {num_missing} elements; allowed: parts"
                " that make up the whole"
            )

    def read_bytes(self, key: str) -> Any:
        """Returns what was stored under a key as bytes of `torch.save`.

        Raises:
          CheckpointError: There is no such key, or a file is damaged.
        """
        self._check_key(key)
        return self._load_file(MetadataIndex(key))

    def _tensor(self, key: str) -> TensorStorageMetadata:
        self._check_key(key)
        tensor = self._metadata.state_dict_metadata[key]
        if not isinstance(tensor, TensorStorageMetadata):
            raise CheckpointError(f"{self._folder}: {key!r} is not a tensor")
        return tensor

    def _check_key(self, key: str) -> None:
        if key not in self._metadata.state_dict_metadata:
            raise CheckpointError(
                f"{self._folder}: holds no {key!r}; allowed: {self.names_below('')}"
            )

    def _load(self, index: MetadataIndex) -> Tensor:
        """Returns a piece."""
        if self._kept is None or self._kept[0] != index:
            self._kept = None
            self._kept = (index, self._load_file(index))
        return self._kept[1]

    def _load_file(self, index: MetadataIndex) -> Any:
        """Reads what is stored under an index."""
        place = self._metadata.storage_data[index]
        path = self._folder / place.relative_path
        try:
            with path.open("rb", buffering=0) as stream:
                stream.seek(place.offset)
                content = stream.read(place.length)
            return torch.load(io.BytesIO(content), weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise CheckpointError(
                f"{path}: {index.fqn!r} cannot be read ({error}); allowed: the files"
                " that checkpoint.json names"
            ) from error


def _overlap(
    chunk: ChunkStorageMetadata, offsets: tuple[int, ...], shape: torch.Size
) -> tuple[tuple[slice, ...], tuple[slice, ...]] | None:
    """Returns where a chunk and a box meet, seen from each; None if nowhere."""
    in_chunk, in_box = [], []
    for first, length, offset, size in zip(
        chunk.offsets, chunk.sizes, offsets, shape, strict=True
    ):
        low, high = max(first, offset), min(first + length, offset + size)
        if low >= high:
            return None
        in_chunk.append(slice(low - first, high - first))
        in_box.append(slice(low - offset, high - offset))
    return tuple(in_chunk), tuple(in_box)
