# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a checkpoint holds: the tensors of a rank, and how far training is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from twhin.checkpoint.table_part import TablePart


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """This rank's part of the model, to be saved from and loaded into.

    Attributes:
      tables: By entity type the parts of its table that this rank holds; views,
        which a load fills in place. None, or no entry, where it holds none.
      relations: By name the parameters of relations, equal on all ranks; a load
        fills them in place.
      relation_optimizer: The `state_dict()` of their optimizer, equal on all
        ranks; a load replaces its content, for `load_state_dict`.
    """

    tables: Mapping[str, Sequence[TablePart]]
    relations: Mapping[str, Tensor]
    relation_optimizer: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far training is; JSON values, equal on all ranks.

    Attributes:
      step: The number of updates so far.
      epoch: The epoch of the next step.
      cursor: `Cursor.to_json()` of the next step; None at the start of an epoch.
      best_metric: The best value of `evaluation.best_metric` so far.
      num_bad_evaluations: Evaluations since then.
      plateau_factor: What a plateau schedule has left of the step size.
      plateau_length: Evaluations since its last reduction, or the best one.
    """

    step: int = 0
    epoch: int = 0
    cursor: Mapping[str, Any] | None = None
    best_metric: float | None = None
    num_bad_evaluations: int = 0
    plateau_factor: float = 1.0
    plateau_length: int = 0
