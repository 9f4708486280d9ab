# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A trained model with all its vectors turned together."""

from torch import Tensor

from twhin.export.table_reader import TableReader
from twhin.graph.schema import GraphSchema
from twhin.scoring import Operator
from twhin.warm_start.alignment import rotate_parameters
from twhin.warm_start.earlier_model import RECIPROCAL


class RotatedReader:
    """A `TableReader` whose rows are x R, and whose scores are those of x."""

    def __init__(self, reader: TableReader, rotation: Tensor) -> None:
        """Takes over a model.

        Args:
          reader: The model; its operators are `ROTATED_OPERATORS`.
          rotation: R, [D, D] float64, orthogonal.
        """
        self._reader = reader
        self._rotation = rotation

    @property
    def schema(self) -> GraphSchema:
        """See `TableReader`."""
        return self._reader.schema

    @property
    def config_digest(self) -> str:
        """See `TableReader`."""
        return self._reader.config_digest

    @property
    def step(self) -> int:
        """See `TableReader`."""
        return self._reader.step

    def read_rows(self, entity_type: str, start: int, stop: int) -> Tensor:
        """Returns turned rows of a table, [stop - start, D] float32."""
        rows = self._reader.read_rows(entity_type, start, stop)
        return rows.float() @ self._rotation.float()

    def relation_parameters(self) -> dict[str, Tensor]:
        """Returns the parameters that do the same to turned vectors."""
        return {
            name: rotate_parameters(
                Operator(name.removesuffix(RECIPROCAL)), values, self._rotation
            )
            for name, values in self._reader.relation_parameters().items()
        }
