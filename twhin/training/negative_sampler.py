# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Draws the negatives that the edges of a chunk share."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twhin.config.settings import Negatives
from twhin.graph import random_bits

# Distinguishes the negatives from other draws of the same seed.
_NEGATIVES = 3


class NegativeSampler:
    """Entities of a type, drawn uniformly and in proportion to degree ** alpha.

    A draw is a function of the seed, the step, what it is for and the number of
    its chunk, so that it does not depend on which rank makes it.
    """

    def __init__(
        self,
        *,
        settings: Negatives,
        num_entities: Mapping[str, int],
        degrees: Mapping[str, NDArray[np.int64]] | None,
        seed: int,
        num_in_batch: int = 0,
    ) -> None:
        """Sums the probabilities where negatives are drawn by degree.

        Args:
          settings: How many negatives of each kind a chunk has.
          num_entities: The number of rows of each entity type.
          degrees: For each entity type [num_entities] int64, the number of training
            edges of each row; needed by `num_by_degree` and `logq_correction`.
          seed: The seed of the run.
          num_in_batch: The edges whose entities are negatives of a chunk too; needed
            by `logq_correction`.

        Raises:
          ValueError: The settings need degrees and there are none.
        """
        self._settings = settings
        self._num_entities = dict(num_entities)
        self._seed = seed
        self._num_in_batch = num_in_batch
        self._degrees = dict(degrees or {})
        if (settings.num_by_degree or settings.logq_correction) and degrees is None:
            raise ValueError("num_by_degree and logq_correction need degrees")
        self._cumulative = (
            {
                name: np.cumsum(degree.astype(np.float64) ** settings.degree_alpha)
                for name, degree in self._degrees.items()
            }
            if settings.num_by_degree
            else {}
        )
        self._total_degrees = {
            name: int(degree.sum()) for name, degree in self._degrees.items()
        }

    @property
    def num_negatives(self) -> int:
        """The number of negatives that `draw` returns for a chunk."""
        return self._settings.num_uniform + self._settings.num_by_degree

    def draw(
        self,
        entity_type: str,
        *,
        step: int,
        purpose: int,
        first_chunk: int,
        num_chunks: int,
    ) -> NDArray[np.int64]:
        """Draws the negatives of consecutive chunks, with replacement.

        Args:
          entity_type: What to draw.
          step: The training step.
          purpose: Tells draws of the same step and chunk apart.
          first_chunk: The number of the first chunk, over all ranks.
          num_chunks: P.

        Returns:
          [P, num_negatives] int64: the uniform ones, then those by degree.
        """
        count = self.num_negatives
        counters = np.arange(
            first_chunk * count, (first_chunk + num_chunks) * count, dtype=np.uint64
        )
        key = random_bits.stream_key(self._seed, _NEGATIVES, step, purpose)
        bits = random_bits.random_bits(key, counters).reshape(num_chunks, count)
        num_uniform = self._settings.num_uniform
        uniform = random_bits.uniform_integers(
            bits[:, :num_uniform], self._num_entities[entity_type]
        )
        if not self._settings.num_by_degree:
            return uniform
        cumulative = self._cumulative[entity_type]
        mass = random_bits.uniform_floats(bits[:, num_uniform:]) * cumulative[-1]
        by_degree = np.searchsorted(cumulative, mass, side="right")
        # A mass that was rounded up to the total belongs to the last row with any.
        last = np.searchsorted(cumulative, cumulative[-1])
        return np.concatenate([uniform, np.minimum(by_degree, last)], axis=1)

    def log_q(self, entity_type: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns the log of how often an entity is expected among a chunk's candidates.

            log(num_uniform / n + num_by_degree d_i^alpha / sum_j d_j^alpha
                + num_in_batch d_i / sum_j d_j)

        for n entities of degrees d. All
        kinds count for every candidate, whichever kind it was drawn as: the pool is a
        sample of their mixture. The share of an entity among in-batch negatives is
        taken from its degree in the whole graph.

        Reference: Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large
        Corpus Item Recommendations", RecSys 2019.

        Args:
          entity_type: The type of the entities.
          rows: [...] int64.

        Returns:
          [...] float32.
        """
        settings = self._settings
        degrees = self._degrees[entity_type]
        degree = degrees[rows].astype(np.float64)
        expected = np.full(degree.shape, settings.num_uniform / len(degrees))
        if settings.num_by_degree:
            total = self._cumulative[entity_type][-1]
            expected += settings.num_by_degree * degree**settings.degree_alpha / total
        if self._num_in_batch:
            share = degree / self._total_degrees[entity_type]
            expected += self._num_in_batch * share
        logarithm: NDArray[np.float32] = np.log(expected).astype(np.float32)
        return logarithm
