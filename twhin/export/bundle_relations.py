# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The relations of a trained model as a bundle has them."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from twhin import scoring
from twhin.bundle.relation import BundleRelation
from twhin.config.settings import TrainConfig
from twhin.errors import CheckpointError
from twhin.graph.configured_schema import relation_settings
from twhin.graph.schema import GraphSchema
from twhin.scoring import Operator

_RECIPROCAL = "_reciprocal"


def make_relations(
    settings: TrainConfig, schema: GraphSchema, parameters: Mapping[str, Tensor]
) -> list[BundleRelation]:
    """Returns the relations in the order of their indices.

    Args:
      settings: The configuration of the run.
      schema: The schema of the trained model.
      parameters: `RelationModel.parameters_by_name`.

    Raises:
      CheckpointError: The parameters are not those of such relations.
    """
    found = []
    num_seen: dict[Operator, int] = {}
    for relation in relation_settings(settings.graph, schema):
        operator = relation.operator
        place = num_seen.get(operator, 0)
        num_seen[operator] = place + 1
        size = scoring.num_parameters(operator, settings.model.embedding_dim)
        found.append(
            BundleRelation(
                name=relation.name,
                lhs=relation.lhs,
                rhs=relation.rhs,
                operator=operator,
                parameters=_row(parameters, operator, place, size),
                reciprocal_parameters=_row(
                    parameters, operator + _RECIPROCAL, place, size
                )
                if settings.model.reciprocal
                else None,
            )
        )
    return found


def _row(
    parameters: Mapping[str, Tensor], name: str, place: int, size: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Returns the parameters of one relation; [size] float32."""
    if size == 0:
        return np.empty(0, np.float32)
    table = parameters.get(name)
    if table is None or place >= len(table) or table.shape[1] != size:
        shape = None if table is None else list(table.shape)
        raise CheckpointError(
            f"relations/{name}: has the shape {shape}; the configuration needs"
            f" {size} parameters for {place + 1} relations or more"
        )
    return table[place].detach().float().cpu().numpy()
