# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The columns of encoded edges, and the check that every value is in range."""

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from twhin.errors import DataError
from twhin.graph.schema import GraphSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeColumns:
    """Encoded edges as arrays.

    Attributes:
      lhs: [n] int64, row in the table of the relation's lhs entity type.
      rel: [n] int64, index of the relation in the schema.
      rhs: [n] int64, row in the table of the relation's rhs entity type.
      weight: [n] float32; None where every edge weighs 1.
    """

    lhs: NDArray[np.int64]
    rel: NDArray[np.int64]
    rhs: NDArray[np.int64]
    weight: NDArray[np.float32] | None

    def __len__(self) -> int:
        """Returns n."""
        return len(self.rel)


class EdgeBounds:
    """The range of every value of an edge, by the schema."""

    def __init__(self, schema: GraphSchema) -> None:
        """Looks up the number of rows of both sides of each relation."""
        self._schema = schema
        self._num_entities = {
            side: np.array(
                [
                    schema.num_entities(getattr(relation, side))
                    for relation in schema.relations
                ],
                dtype=np.uint64,
            )
            for side in ("lhs", "rhs")
        }

    def check(self, columns: EdgeColumns, where: str) -> None:
        """Checks all values of some edges.

        Args:
          columns: The edges.
          where: File and row group, for the error.

        Raises:
          DataError: A relation, an index or a weight is out of range.
        """
        if not len(columns):
            return
        # As unsigned numbers the negative ones are the largest.
        num_relations = len(self._schema.relations)
        rel = columns.rel.view(np.uint64)
        if rel.max() >= num_relations:
            self._fail_relation(columns, int(np.argmax(rel >= num_relations)), where)
        for side, num_entities in self._num_entities.items():
            index = getattr(columns, side).view(np.uint64)
            if index.max() < num_entities.min():
                continue
            is_wrong = index >= num_entities[columns.rel]
            if is_wrong.any():
                self._fail_index(columns, side, int(np.argmax(is_wrong)), where)
        weight = columns.weight
        if weight is not None and not (weight.min() > 0 and weight.max() < np.inf):
            row = int(np.argmin((weight > 0) & (weight < np.inf)))
            raise DataError(
                f"{where}, row {row}: weight is {float(weight[row])!r}; "
                "weights are above 0 and finite"
            )

    def _fail_relation(self, columns: EdgeColumns, row: int, where: str) -> NoReturn:
        raise DataError(
            f"{where}, row {row}: rel is {int(columns.rel[row])}; the relations of the "
            f"schema are 0 to {len(self._schema.relations) - 1}"
        )

    def _fail_index(
        self, columns: EdgeColumns, side: str, row: int, where: str
    ) -> NoReturn:
        relation = self._schema.relations[int(columns.rel[row])]
        entity_type = getattr(relation, side)
        raise DataError(
            f"{where}, row {row}: {side} is {int(getattr(columns, side)[row])}; the rows "
            f"of entity type {entity_type!r} are 0 to "
            f"{self._schema.num_entities(entity_type) - 1} (relation {relation.name!r})"
        )
