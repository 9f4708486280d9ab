# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Candidates: the entities of one type that held-out edges are ranked among."""

import numpy as np
import numpy.typing as npt

from twhin.evaluation.edges import Integers


class Candidates:
    """All entities of one type or a fixed sample of them, numbered by row.

    Attributes:
      entity_type: Their entity type.
      num_rows: The number of rows of its table.
      sample: [n] int64, the rows in ascending order; None for all rows.
    """

    def __init__(
        self, *, entity_type: str, num_rows: int, num_candidates: int = 0, seed: int = 0
    ) -> None:
        """Draws the sample.

        Args:
          entity_type: Their entity type.
          num_rows: The number of rows of its table.
          num_candidates: The size of the sample; 0, or at least `num_rows`, for
            all rows.
          seed: Equal seeds draw equal samples.
        """
        self.entity_type = entity_type
        self.num_rows = num_rows
        self.sample: Integers | None = None
        if 0 < num_candidates < num_rows:
            generator = np.random.default_rng(seed)
            drawn = generator.choice(num_rows, num_candidates, replace=False)
            self.sample = np.sort(drawn.astype(np.int64))

    def __len__(self) -> int:
        """Returns the number of candidates."""
        return self.num_rows if self.sample is None else len(self.sample)

    def numbers(self, rows: Integers) -> tuple[Integers, npt.NDArray[np.bool_]]:
        """Returns the numbers of rows among the candidates.

        Args:
          rows: [n] int64, rows of the entity type's table.

        Returns:
          [n] int64 numbers, and [n] bool, whether the row is a candidate at all;
          where it is not, the number says nothing.
        """
        if self.sample is None:
            return rows, np.ones(len(rows), dtype=np.bool_)
        numbers = np.searchsorted(self.sample, rows)
        np.minimum(numbers, len(self.sample) - 1, out=numbers)
        return numbers, self.sample[numbers] == rows
