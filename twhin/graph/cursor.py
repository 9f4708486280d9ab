# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A position in an epoch, from which reading continues exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twhin.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps that one job has taken inside a window.

    Attributes:
      world_size: The number of ranks of the job.
      rows_per_step: Rows that each rank takes in a step.
      num_steps: The number of steps taken.
    """

    world_size: int
    rows_per_step: int
    num_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Which rows of an epoch have been read, the same on all ranks.

    Attributes:
      epoch: The epoch.
      num_rows: The number of rows of an epoch: detects other data.
      window_start: Rows of the epoch's order before the window that is being
        read; all of them have been read.
      window_rows: The number of rows of that window; 0 before its first step.
      stages: What has been read of the window: one entry for each job that read
        from it, in order. More than one only where the number of ranks or the
        batch size changed inside the window.
    """

    epoch: int
    num_rows: int
    window_start: int = 0
    window_rows: int = 0
    stages: tuple[Stage, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns the cursor as JSON values."""
        return {
            "epoch": self.epoch,
            "num_rows": self.num_rows,
            "window_start": self.window_start,
            "window_rows": self.window_rows,
            "stages": [
                [stage.world_size, stage.rows_per_step, stage.num_steps]
                for stage in self.stages
            ],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Cursor:
        """Returns the cursor that `to_json` has written.

        Raises:
          DataError: The values are not those of a cursor.
        """
        try:
            return cls(
                epoch=int(values["epoch"]),
                num_rows=int(values["num_rows"]),
                window_start=int(values["window_start"]),
                window_rows=int(values["window_rows"]),
                stages=tuple(
                    Stage(
                        world_size=int(world_size),
                        rows_per_step=int(rows_per_step),
                        num_steps=int(num_steps),
                    )
                    for world_size, rows_per_step, num_steps in values["stages"]
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"cursor: not the position of a reader: {dict(values)!r}; "
                "expected the fields that Cursor.to_json writes"
            ) from error
