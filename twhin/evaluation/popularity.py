# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The baseline: candidates in the order of their number of training edges.

Letters in shapes: R relations of a ranking, E edges, N candidates, V rows of the
ranked side's table.
"""

import numpy as np
import numpy.typing as npt
import torch

from twhin.evaluation.edges import Integers
from twhin.evaluation.known_edges import KnownEdges
from twhin.evaluation.ranking import Ranking, Ranks

_CHUNK_EDGES = 1 << 12
_CHUNK_CANDIDATES = 1 << 16


class Popularity:
    """Degrees in train of the ranked side, for each relation of a ranking.

    Takes 4 R V bytes.
    """

    def __init__(self, ranking: Ranking) -> None:
        """Starts with degrees of 0."""
        self._ranking = ranking
        self._relations = np.unique(ranking.query_rel)
        self._degrees = np.zeros(
            (len(self._relations), ranking.candidates.num_rows), dtype=np.int32
        )

    def add(self, *, rel: Integers, answer: Integers) -> None:
        """Counts training edges.

        Args:
          rel: [n] int64, relations.
          answer: [n] int64, rows of the ranked side.
        """
        place = np.searchsorted(self._relations, rel)
        np.minimum(place, len(self._relations) - 1, out=place)
        ours = self._relations[place] == rel
        np.add.at(self._degrees, (place[ours], answer[ours]), 1)

    def rank(self, known: KnownEdges) -> Ranks:
        """Returns the ranks of all positives; see `Ranker.rank`."""
        ranking = self._ranking
        place = np.searchsorted(self._relations, ranking.rel)
        scores = self._degrees[place, ranking.positive]
        counts = np.zeros((2, len(ranking)), dtype=np.int64)
        degrees = self._degrees
        if ranking.candidates.sample is not None:
            degrees = degrees[:, ranking.candidates.sample]
        for row, ascending in enumerate(np.sort(degrees, axis=1)):
            counts[:, place == row] += _count_sorted(ascending, scores[place == row])
        numbers, is_candidate = ranking.candidates.numbers(ranking.positive)
        counts -= is_candidate  # The positive ties with itself.
        positive = np.where(is_candidate, numbers, -1)
        for start in range(0, len(ranking), _CHUNK_EDGES):
            chunk = slice(start, start + _CHUNK_EDGES)
            query = torch.from_numpy(ranking.query[chunk])
            for first in range(0, len(ranking.candidates), _CHUNK_CANDIDATES):
                found = known.find(query, first, first + _CHUNK_CANDIDATES)
                edge, number = found[0].numpy(), found[1].numpy() + first
                other = number != positive[chunk][edge]
                edge, number = edge[other], number[other]
                differences = degrees[place[chunk][edge], number].astype(np.int64)
                differences -= scores[chunk][edge]
                np.subtract.at(counts[1, chunk], edge, 1 + np.sign(differences))
        raw, filtered = 1.0 + counts / 2.0
        return Ranks(raw=raw, filtered=filtered)


def _count_sorted(
    ascending: npt.NDArray[np.int32], scores: npt.NDArray[np.int32]
) -> Integers:
    """Returns 2 better + equal of each score among sorted ones."""
    not_better = np.searchsorted(ascending, scores, side="right")
    worse = np.searchsorted(ascending, scores, side="left")
    return 2 * len(ascending) - not_better - worse
