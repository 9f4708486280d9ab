# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a source of vectors answers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """Vectors in the order of the ids asked for.

    Attributes:
      values: [n, D] float32 or float16; the row of an unknown id is zero. It may
        be a view of a received message, and then is read-only.
      found: [n] bool, whether each id is known.
      version: The version of the bundle that all of them come from.
    """

    values: npt.NDArray[Any]
    found: npt.NDArray[np.bool_]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbors:
    """The entities that score highest for each of n queries, best first.

    Query i has those of [offsets[i], offsets[i + 1]); an unknown query id none.

    Attributes:
      ids: [offsets[n]] int64, or object (str) where the ids are strings.
      scores: [offsets[n]] float32.
      offsets: [n + 1] int64.
      version: The version of the bundle that all of them come from.
    """

    ids: npt.NDArray[Any]
    scores: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.int64]
    version: str

    def of(self, query: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        """Returns ids and scores of one query."""
        part = slice(self.offsets[query], self.offsets[query + 1])
        return self.ids[part], self.scores[part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of edges.

    Attributes:
      values: [n] float32; NaN where either end is unknown.
      version: The version of the bundle that all of them come from.
    """

    values: npt.NDArray[np.float32]
    version: str
