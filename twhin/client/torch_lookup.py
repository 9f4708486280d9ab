# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Vectors as torch tensors, and as a module of a ranking model.

Import this file only where torch is installed; the rest of the client does not.
"""

import warnings

import torch
from torch import Tensor, nn

from twhin.client.results import Vectors
from twhin.client.source import Dtype, EntityIds, VectorSource


def to_tensors(vectors: Vectors) -> tuple[Tensor, Tensor]:
    """Returns values and found as tensors over the same memory.

    The values must not be written to: they may lie in a received message.

    Returns:
      [n, D] float32 or float16, and [n] bool.
    """
    with warnings.catch_warnings():
        # torch has no read-only tensors, and says so.
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(vectors.values), torch.from_numpy(vectors.found)


class EntityEmbedding(nn.Module):
    """Looks entities up; a learned vector stands for those that are unknown.

    The looked-up vectors are constants: gradients reach the missing vector only.

    Attributes:
      missing: [D] float32, the vector of unknown entities.
    """

    def __init__(
        self, source: VectorSource, entity_type: str, *, dtype: Dtype = "float32"
    ) -> None:
        """Asks the source for the dimension; the missing vector begins as zeros.

        Args:
          source: Where vectors come from. It is not part of the module's state.
          entity_type: The entity type.
          dtype: The type of numbers on the wire; the module's are float32.

        Raises:
          KeyError: The source has no such entity type.
        """
        super().__init__()
        self._source = source
        self._entity_type = entity_type
        self._dtype: Dtype = dtype
        dim = source.describe().tables[entity_type].dim
        self.missing = nn.Parameter(torch.zeros(dim))

    def forward(self, ids: Tensor | EntityIds) -> Tensor:
        """Returns the vectors of entities, on the device of `missing`.

        Args:
          ids: int64 tensor of any shape S, or a sequence of n ids.

        Returns:
          [*S, D] or [n, D] float32.
        """
        shape: tuple[int, ...] = (len(ids),)
        if isinstance(ids, Tensor):
            shape, ids = tuple(ids.shape), ids.detach().reshape(-1).cpu().numpy()
        vectors = self._source.lookup(self._entity_type, ids, dtype=self._dtype)
        values, found = to_tensors(vectors)
        device = self.missing.device
        values = values.to(device=device, dtype=self.missing.dtype)
        known = found.to(device)[:, None]
        return torch.where(known, values, self.missing).reshape(*shape, -1)
