# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The input pipeline: pairs become batches with all their features.

Letters in shapes: B pairs of a batch, D the length of a TwHIN vector.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
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
        self._logs = [
            np.log1p(degrees).astype(np.float32)
            for degrees in (graph.user_degrees, graph.item_degrees)
        ]

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
        dense = [self._logs[0][pairs.user], self._logs[1][pairs.item]]
        return Batch(
            sparse=self._make_sparse(pairs),
            dense=torch.from_numpy(np.stack(dense, axis=1)),
            twhin=twhin,
            label=torch.from_numpy(pairs.label),
        )

    def _make_sparse(self, pairs: LabelledPairs) -> KeyedJaggedTensor:
        ones = np.ones(len(pairs), np.int64)
        history, lengths = self._histories(pairs.user)
        return KeyedJaggedTensor(
            keys=list(FEATURES),
            values=torch.from_numpy(np.concatenate([pairs.user, pairs.item, history])),
            lengths=torch.from_numpy(np.concatenate([ones, ones, lengths])),
        )

    def _histories(self, users: Integers) -> tuple[Integers, Integers]:
        """Returns the items of all users' pasts, one after another, and the numbers.

        Of a long past it takes MAX_HISTORY items at even distances.
        """
        starts = self._graph.history_starts[users]
        sizes = self._graph.history_starts[users + 1] - starts
        lengths = np.minimum(sizes, MAX_HISTORY)
        within = np.arange(lengths.sum()) - np.repeat(
            np.cumsum(lengths) - lengths, lengths
        )
        strides = np.repeat(sizes / np.maximum(lengths, 1), lengths)
        places = np.repeat(starts, lengths) + (within * strides).astype(np.int64)
        return self._graph.past.item[places], lengths
