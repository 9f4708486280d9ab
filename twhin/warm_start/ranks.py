# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The ranks that start together."""

from typing import Protocol

from torch import Tensor


class Ranks(Protocol):
    """What is needed of `twhin.training.job.Job`, which comes after this package."""

    @property
    def rank(self) -> int:
        """The number of this one, from 0."""
        ...

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which logs."""
        ...

    def sum_over_ranks(self, values: Tensor) -> Tensor:
        """Returns the sum over all ranks; a collective that changes `values`."""
        ...
