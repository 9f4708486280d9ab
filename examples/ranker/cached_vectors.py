# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""TwHIN vectors for batches: each entity is asked for once, many in a request."""

from typing import Any

import numpy as np
import numpy.typing as npt

from examples.ranker.ranking_graph import Integers
from twhin.client.source import VectorSource


class CachedVectors:
    """Looks up the vectors of one entity type and keeps them.

    Used by one thread. All vectors of a cache are of one version of the bundle: when
    a server changes to another, what was kept is forgotten.

    Attributes:
      dim: The length of a vector.
      num_asked: The number of ids that were sent to the source.
    """

    def __init__(
        self,
        source: VectorSource,
        entity_type: str,
        ids: npt.NDArray[Any],
        *,
        max_cached: int = 1_000_000,
    ) -> None:
        """Keeps nothing yet.

        Args:
          source: A bundle in this process, or a server.
          entity_type: The entity type.
          ids: The ids by row.
          max_cached: How many vectors are kept; then all are forgotten.
        """
        self._source = source
        self._entity_type = entity_type
        self._ids = ids
        self._max_cached = max_cached
        self._version: str | None = None
        self._places = np.full(len(ids), -1, np.int64)
        self.dim = source.describe().tables[entity_type].dim
        self._kept = np.empty((0, self.dim), np.float32)
        self.num_asked = 0

    def lookup(self, rows: Integers) -> npt.NDArray[np.float32]:
        """Returns the vectors of rows, zeros for entities that are unknown.

        Args:
          rows: [n] int64, with repetitions.

        Returns:
          [n, dim] float32.

        Raises:
          RequestError: A server does not answer in time.
        """
        missing = np.unique(rows[self._places[rows] < 0])
        if len(missing):
            if len(self._kept) + len(missing) > self._max_cached:
                self._forget()
                missing = np.unique(rows)
            self._ask(missing, rows)
        return self._kept[self._places[rows]]

    def _ask(self, missing: Integers, rows: Integers) -> None:
        found = self._source.lookup(self._entity_type, self._ids[missing])
        if found.version != self._version and self._version is not None:
            self._forget()
            missing = np.unique(rows)
            found = self._source.lookup(self._entity_type, self._ids[missing])
        self._version = found.version
        self.num_asked += len(missing)
        start = len(self._kept)
        self._places[missing] = np.arange(start, start + len(missing))
        self._kept = np.concatenate([self._kept, found.values.astype(np.float32)])

    def _forget(self) -> None:
        self._places[:] = -1
        self._kept = self._kept[:0]
