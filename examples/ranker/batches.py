# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The input pipeline: pairs become batches with all their features.

Letters in shapes: B pairs of a batch, D the length of a TwHIN vector.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from examples.ranker.cached_vectors import CachedVectors
from examples.ranker.labelled_pairs import LabelledPairs
from examples.ranker.ranking_graph import Integers, RankingGraph

FEATURES = ("user", "item", "history")
"""The sparse features; a history is a bag of items."""
NUM_DENSE = 2
MAX_HISTORY = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Pairs with their features.

    Attributes:
      sparse: The features `FEATURES`, rows of users and items.
      dense: [B, NUM_DENSE] float32, logarithms of degrees.
      twhin: [B, 2, D] float32, the vectors of user and item; None without.
      label: [B] float32.
    """

    sparse: KeyedJaggedTensor
    dense: Tensor
    twhin: Tensor | None
    label: Tensor


class BatchMaker:
    """Makes batches of the pairs of a graph."""

    def __init__(
        self,
        graph: RankingGraph,
        vectors: tuple[CachedVectors, CachedVectors] | None,
    ) -> None:
        """Makes what does not depend on the pairs.

        Args:
          graph: The graph.
          vectors: Those of users and of items; None to do without.
        """
        self._graph = graph
        self._vectors = vectors
        self._past_keys = np.unique(
            graph.past.user * len(graph.item_ids) + graph.past.item
        )

    def batches(
        self,
        pairs: LabelledPairs,
        batch_size: int,
        generator: np.random.Generator | None = None,
    ) -> Iterator[Batch]:
        """Yields all pairs once, in random order where a generator is given."""
        order = np.arange(len(pairs))
        if generator is not None:
            generator.shuffle(order)
        for start in range(0, len(pairs), batch_size):
            yield self.make(pairs.take(order[start : start + batch_size]))

    def make(self, pairs: LabelledPairs) -> Batch:
        """Returns one batch of all pairs."""
        twhin = None
        if self._vectors is not None:
            users, items = self._vectors
            both = [users.lookup(pairs.user), items.lookup(pairs.item)]
            twhin = torch.from_numpy(np.stack(both, axis=1))
        return Batch(
            sparse=self._make_sparse(pairs),
            dense=torch.from_numpy(self._make_dense(pairs)),
            twhin=twhin,
            label=torch.from_numpy(pairs.label),
        )

    def _make_dense(self, pairs: LabelledPairs) -> npt.NDArray[np.float32]:
        """Returns the logarithms of the degrees, an edge itself not counted."""
        keys = pairs.user * len(self._graph.item_ids) + pairs.item
        places = np.searchsorted(self._past_keys, keys)
        is_past = self._past_keys[np.minimum(places, len(self._past_keys) - 1)] == keys
        degrees = [
            self._graph.user_degrees[pairs.user] - is_past,
            self._graph.item_degrees[pairs.item] - is_past,
        ]
        logs: npt.NDArray[np.float32] = np.log1p(
            np.stack(degrees, axis=1), dtype=np.float32
        )
        return logs

    def _make_sparse(self, pairs: LabelledPairs) -> KeyedJaggedTensor:
        ones = np.ones(len(pairs), np.int64)
        history, lengths = self._histories(pairs)
        return KeyedJaggedTensor(
            keys=list(FEATURES),
            values=torch.from_numpy(np.concatenate([pairs.user, pairs.item, history])),
            lengths=torch.from_numpy(np.concatenate([ones, ones, lengths])),
        )

    def _histories(self, pairs: LabelledPairs) -> tuple[Integers, Integers]:
        """Returns the items of all users' pasts, one after another, and the numbers.

        Of a long past it takes MAX_HISTORY items at even distances. The item of the
        pair itself is left out: it would give the label away.
        """
        starts = self._graph.history_starts[pairs.user]
        sizes = self._graph.history_starts[pairs.user + 1] - starts
        lengths = np.minimum(sizes, MAX_HISTORY)
        within = np.arange(lengths.sum()) - np.repeat(
            np.cumsum(lengths) - lengths, lengths
        )
        strides = np.repeat(sizes / np.maximum(lengths, 1), lengths)
        places = np.repeat(starts, lengths) + (within * strides).astype(np.int64)
        items = self._graph.past.item[places]
        pair = np.repeat(np.arange(len(pairs)), lengths)
        is_other = items != pairs.item[pair]
        return items[is_other], np.bincount(pair[is_other], minlength=len(pairs))
