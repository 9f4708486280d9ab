# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Small batches of ids that travel together, and their vectors apart again.

A call costs about as much as 500 rows: ten batches of 100 ids take a third of the
time as one call.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from twhin.client.results import Vectors
from twhin.client.source import EntityIds

_MAX_IDS = 1024
_MAX_BATCHES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedBatches:
    """Batches one after the other.

    Attributes:
      ids: The ids of all, as `check_ids` gives them.
      sizes: The number of ids of each.
    """

    ids: Any
    sizes: list[int]

    def split(self, vectors: Vectors) -> Iterator[Vectors]:
        """Yields the vectors of each batch: views of those of all ids."""
        for start, stop in itertools.pairwise((0, *itertools.accumulate(self.sizes))):
            yield Vectors(
                values=vectors.values[start:stop],
                found=vectors.found[start:stop],
                version=vectors.version,
            )


def join_batches(
    batches: Iterable[EntityIds], check: Callable[[EntityIds], Any]
) -> Iterator[JoinedBatches]:
    """Yields neighbouring batches joined, in order.

    Args:
      batches: The batches. Up to 16 of them become one, of 1,024 ids or of a
        single larger batch.
      check: Returns the ids of a batch as `check_ids` does.
    """
    parts: list[Any] = []
    num_ids = 0
    for batch in batches:
        ids = check(batch)
        if parts and (num_ids + len(ids) > _MAX_IDS or len(parts) == _MAX_BATCHES):
            yield _join(parts)
            parts, num_ids = [], 0
        parts.append(ids)
        num_ids += len(ids)
    if parts:
        yield _join(parts)


def _join(parts: list[Any]) -> JoinedBatches:
    sizes = [len(ids) for ids in parts]
    if isinstance(parts[0], np.ndarray):
        return JoinedBatches(ids=np.concatenate(parts), sizes=sizes)
    return JoinedBatches(ids=list(itertools.chain.from_iterable(parts)), sizes=sizes)
