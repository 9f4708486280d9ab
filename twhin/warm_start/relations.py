# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Relation parameters, joined by the name of the relation."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from twhin.config.settings import Relation
from twhin.warm_start.earlier_model import RECIPROCAL, EarlierModel


def fill_relations(
    source: EarlierModel,
    relations: Sequence[Relation],
    parameters: Mapping[str, Tensor],
    optimizer_state: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Copies the parameters of relations that the earlier model has.

    A relation that has another operator now is a new one.

    Args:
      source: The earlier model.
      relations: The relations of now, in the order of the schema.
      parameters: `RelationModel.parameters_by_name`, detached; changed in place.
      optimizer_state: The `state_dict()` of their optimizer, where the earlier
        state is to be taken over; changed in place. What the optimizer makes at
        its first step only, Adam's moments, starts anew.

    Returns:
      The names of the relations that kept parameters, in order.
    """
    states = _states_by_name(parameters, optimizer_state or {})
    kept = []
    num_seen: Counter[str] = Counter()
    for relation in relations:
        operator = str(relation.operator)
        reciprocal = operator + RECIPROCAL
        place = num_seen[operator]
        num_seen[operator] += 1
        earlier = source.relations.get(relation.name)
        if earlier is None or earlier.operator != operator:
            continue
        kept.append(relation.name)
        parameters[operator][place].copy_(earlier.parameters)
        _copy_states(states[operator], place, earlier.state)
        if reciprocal in parameters and earlier.reciprocal is not None:
            parameters[reciprocal][place].copy_(earlier.reciprocal)
            _copy_states(states[reciprocal], place, earlier.reciprocal_state)
    return tuple(kept)


def _states_by_name(
    parameters: Mapping[str, Tensor], optimizer_state: Mapping[str, Any]
) -> Mapping[str, Mapping[str, Tensor]]:
    # The optimizer numbers the parameters that are not empty.
    names = [name for name, values in parameters.items() if values.numel()]
    states: dict[str, Mapping[str, Tensor]] = defaultdict(dict)
    for number, by_kind in optimizer_state.get("state", {}).items():
        states[names[number]] = by_kind
    return states


def _copy_states(
    states: Mapping[str, Tensor], place: int, earlier: Mapping[str, Tensor]
) -> None:
    """Copies those states of one relation that both optimizers have."""
    for kind, values in earlier.items():
        if kind in states:
            states[kind][place].copy_(values)
