# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A relation with its parameters."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twhin.bundle import kinds
from twhin.scoring import Operator
from twhin.v1 import bundle_pb2, graph_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRelation:
    """A relation.

    Attributes:
      name: Its name.
      lhs: The entity type on the left.
      rhs: The entity type on the right.
      operator: What turns a lhs embedding into a query for the rhs.
      parameters: float32 [P], the operator's; P is 0 for the identity.
      reciprocal_parameters: float32 [P], those of the same operator that turns a
        rhs embedding into a query for the lhs; None without reciprocal relations.
    """

    name: str
    lhs: str
    rhs: str
    operator: Operator
    parameters: npt.NDArray[np.float32]
    reciprocal_parameters: npt.NDArray[np.float32] | None


def read_relation(
    relation: bundle_pb2.BundleRelation, parameters: npt.NDArray[np.float32]
) -> BundleRelation:
    """Returns a relation of a checked manifest.

    Args:
      relation: The manifest's entry.
      parameters: float32, those of all relations.
    """

    def part(start: int) -> npt.NDArray[np.float32]:
        return parameters[start : start + relation.num_parameters]

    return BundleRelation(
        name=relation.name,
        lhs=relation.lhs,
        rhs=relation.rhs,
        operator=kinds.from_proto(
            Operator, graph_pb2.Operator, relation.operator, "operator"
        ),
        parameters=part(relation.parameters_start),
        reciprocal_parameters=part(relation.reciprocal_parameters_start)
        if relation.HasField("reciprocal_parameters_start")
        else None,
    )
