# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The looked-up rows of a step, and the gradients that are written beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from twhin.model.edge_group import EdgeGroup, Segment
from twhin.model.group_part import GroupPart
from twhin.side import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRows:
    """Rows, and the edges that use them.

    Attributes:
      rows: For every entity type [k, D], what was looked up; every row lies in one
        segment of the groups. With `chosen` [n, D], the whole table.
      gradients: For every entity type [k, D], where gradients are written.
      groups: The edges.
      chosen: For every entity type [k] int64, the rows of the table that would have
        been looked up; None where they were.
    """

    rows: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]
    groups: Sequence[EdgeGroup]
    chosen: Mapping[str, Tensor] | None = None

    def zero_shared(self) -> list[tuple[str, Segment]]:
        """Zeroes the gradients of shared negatives; returns type and segment of each."""
        shared = [
            (name, side.negatives)
            for group in self.groups
            for name, side in group.sides.values()
            if side.shared_negatives
        ]
        for name, drawn in shared:
            drawn.of(self.gradients[name]).zero_()
        return shared

    def skip(self, part: GroupPart, place: Side) -> None:
        """Zeroes the gradients of a side that is not ranked; not of what is shared."""
        name, side = part.group.sides[place]
        gradients = self.gradients[name]
        part.entities_of(side).of(gradients).zero_()
        if not side.shared_negatives:
            part.negatives_of(side).of(gradients).zero_()
