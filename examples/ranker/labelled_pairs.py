# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Pairs of a user and an item that was shown: 1 where the user acted, else 0.

A graph does not record what was shown and not acted on, so those pairs are drawn:
for each edge some items in proportion to their popularity, as a feed that shows
popular items would have it, without items that the user is known to act on.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from examples.ranker.ranking_graph import Edges, Integers, RankingGraph

_NUM_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPairs:
    """n pairs.

    Attributes:
      user: [n] int64, rows.
      item: [n] int64, rows.
      label: [n] float32, 1 or 0.
    """

    user: Integers
    item: Integers
    label: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Returns n."""
        return len(self.label)

    def join(self, others: "LabelledPairs") -> "LabelledPairs":
        """Returns these pairs and the others behind them."""
        return LabelledPairs(
            user=np.concatenate([self.user, others.user]),
            item=np.concatenate([self.item, others.item]),
            label=np.concatenate([self.label, others.label]),
        )

    def take(self, places: Integers) -> "LabelledPairs":
        """Returns the pairs at these places."""
        return LabelledPairs(
            user=self.user[places], item=self.item[places], label=self.label[places]
        )


class PairSampler:
    """Draws pairs for edges."""

    def __init__(self, graph: RankingGraph, num_negatives: int) -> None:
        """Counts the items and notes the edges of all splits.

        Args:
          graph: The graph.
          num_negatives: The number of pairs with label 0 for each edge.
        """
        self._num_negatives = num_negatives
        self._num_items = len(graph.item_ids)
        weights = np.cumsum(graph.item_degrees + 1.0)
        self._shares = weights / weights[-1]
        parts = (graph.past, graph.learning, graph.test)
        self._known = np.unique(np.concatenate([self._keys(part) for part in parts]))

    def draw(self, edges: Edges, generator: np.random.Generator) -> LabelledPairs:
        """Returns the edges and as many pairs besides as were asked for.

        A user who acts on nearly everything may get fewer of them.
        """
        user = np.repeat(edges.user, self._num_negatives)
        item = self._draw_items(len(user), generator)
        for _ in range(_NUM_TRIES):
            (wrong,) = np.nonzero(self._is_known(Edges(user=user, item=item)))
            item[wrong] = self._draw_items(len(wrong), generator)
        right = ~self._is_known(Edges(user=user, item=item))
        user, item = user[right], item[right]
        return LabelledPairs(
            user=np.concatenate([edges.user, user]),
            item=np.concatenate([edges.item, item]),
            label=np.repeat(np.array([1, 0], np.float32), [len(edges.user), len(user)]),
        )

    def _draw_items(self, number: int, generator: np.random.Generator) -> Integers:
        return np.searchsorted(self._shares, generator.random(number), side="right")

    def _is_known(self, edges: Edges) -> npt.NDArray[np.bool_]:
        keys = self._keys(edges)
        places = np.minimum(np.searchsorted(self._known, keys), len(self._known) - 1)
        found: npt.NDArray[np.bool_] = self._known[places] == keys
        return found

    def _keys(self, edges: Edges) -> Integers:
        keys: Integers = edges.user * self._num_items + edges.item
        return keys
