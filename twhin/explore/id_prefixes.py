# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Ids that begin with some letters, for a field that completes what is typed."""

import bisect

import numpy as np

from twhin.bundle.id_directory import IdDirectory

# Of a larger table the first rows are taken: rows are in the order of hashed ids,
# so they are as good as drawn. About 100 bytes an id.
MAX_IDS = 1_000_000


class IdPrefixes:
    """The ids of an entity type in alphabetical order.

    Attributes:
      is_complete: Whether all ids are there.
    """

    def __init__(self, directory: IdDirectory, *, max_ids: int = MAX_IDS) -> None:
        """Reads and sorts the ids.

        Args:
          directory: The ids.
          max_ids: How many are taken.
        """
        num_ids = min(directory.num_rows, max_ids)
        self.is_complete = num_ids == directory.num_rows
        self._names = sorted(map(str, directory.ids(np.arange(num_ids)).tolist()))

    def complete(self, prefix: str, limit: int) -> list[str]:
        """Returns the first ids that begin with a prefix, those alone at first.

        The shortest come first, so that an id that is typed in full is on top.

        Args:
          prefix: Any text; nothing for any ids.
          limit: The largest number of ids.
        """
        start = bisect.bisect_left(self._names, prefix)
        found = []
        for name in self._names[start : start + 50 * limit]:
            if not name.startswith(prefix):
                break
            found.append(name)
        return sorted(found, key=lambda name: (len(name), name))[:limit]
