# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a search varies: fields of a configuration, with their ranges or choices."""

import json
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twhin.config import yaml_text
from twhin.config.faults import Faults, quote
from twhin.config.resolved_config import check_overrides
from twhin.config.settings import TrainConfig
from twhin.errors import ConfigError

# Trials share one prepared graph and are measured alike.
_FIXED = ("data", "evaluation", "checkpoint", "export", "warm_start")
_FREE_OF_GRAPH = ("table", "operator", "loss_weight", "sampling_rate")
_STEP = re.compile(r"(\w+)(?:\[(\d+)\])?")
_FORMS = "{low: NUMBER, high: NUMBER, log: BOOL} or {choices: [VALUE, ...]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers between two bounds.

    Attributes:
      low: The least number.
      high: The greatest number; above `low`.
      is_log: Whether the logarithm is drawn evenly, not the number; `low` is above 0.
      is_whole: Whether only whole numbers are drawn.
    """

    low: float
    high: float
    is_log: bool
    is_whole: bool

    def holds(self, value: object) -> bool:
        """Returns whether a value of a configuration is in the range."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Some values, as JSON: texts, numbers, lists or whole parts."""

    values: tuple[str, ...]


SearchSpace = Mapping[str, Range | Choices]
"""By the path of the field, "optimizer.learning_rate"."""


def load_space(path: Path, config_path: Path | None) -> SearchSpace:
    """Reads a search space.

    Args:
      path: A YAML file: the path of a field, and a range or choices, each.
      config_path: The configuration whose fields these are; None for the
        demonstration.

    Raises:
      ConfigError: The file cannot be read or has faults; the message has a line for
        each of them.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) else "not UTF-8"
        raise ConfigError(
            f"{path}: cannot be read: {reason}; a YAML file is needed"
        ) from err
    tree = yaml_text.parse(text, str(path))
    if not isinstance(tree, dict) or not tree:
        raise ConfigError(
            f"{path}: wrong type {quote(tree)}; allowed: a mapping of paths to {_FORMS}"
        )
    faults = Faults()
    space: dict[str, Range | Choices] = {}
    for name, form in tree.items():
        dimension = _dimension(str(name), form, faults)
        if dimension is not None:
            space[str(name)] = dimension
    faults.raise_if_any()
    values = {name: _some_values(dimension) for name, dimension in space.items()}
    _check_values(values, config_path)
    return space


def configured_values(space: SearchSpace, settings: TrainConfig) -> dict[str, object]:
    """Returns the values that a configuration has already, where the space has them.

    Returns:
      By path: a number of a range, or a choice as JSON.
    """
    found: dict[str, object] = {}
    for name, dimension in space.items():
        value: Any = settings
        for step, index in _STEP.findall(name):
            value = getattr(value, step)
            value = value[int(index)] if index else value
        if isinstance(dimension, Range):
            if dimension.holds(value):
                found[name] = value
        else:
            same = [one for one in dimension.values if json.loads(one) == value]
            found |= {name: same[0]} if same else {}
    return found


def override(name: str, value: str) -> str:
    """Returns the override that sets a field to a value in JSON."""
    return f"{name}={value}"


def _check_values(values: Mapping[str, list[str]], config_path: Path | None) -> None:
    """Raises for fields that do not exist, and for values of a wrong type."""
    lines: list[str] = []
    for name, some in values.items():
        for value in some:
            try:
                check_overrides(config_path, [override(name, value)])
            except ConfigError as err:
                lines += str(err).split("\n")
    if lines:
        raise ConfigError("\n".join(dict.fromkeys(lines)))


def _some_values(dimension: Range | Choices) -> list[str]:
    if isinstance(dimension, Choices):
        return list(dimension.values)
    return [json.dumps(dimension.low), json.dumps(dimension.high)]


def _dimension(name: str, form: object, faults: Faults) -> Range | Choices | None:
    """Returns what a field may be, or None after adding a fault."""
    if not _is_free(name):
        faults.add(
            name,
            "trials share the graph and what is measured",
            "allowed: fields that training alone depends on, and of 'graph' those of"
            " 'table', 'operator', 'loss_weight' and 'sampling_rate'",
        )
    elif isinstance(form, dict) and set(form) == {"choices"}:
        values = form["choices"]
        if isinstance(values, list) and values:
            return Choices(values=tuple(json.dumps(value) for value in values))
        faults.add(
            f"{name}.choices", f"{quote(values)} is no choice", "allowed: a list"
        )
    elif isinstance(form, dict) and {"low", "high"} <= set(form) <= {
        "low",
        "high",
        "log",
    }:
        return _range(name, form, faults)
    else:
        faults.add(name, f"{quote(form)} has another form", f"allowed: {_FORMS}")
    return None


def _range(name: str, form: Mapping[str, object], faults: Faults) -> Range | None:
    low, high, is_log = form["low"], form["high"], form.get("log", False)
    kind = _number_type(name)
    if kind is None:
        faults.add(name, "not a number", "allowed: {choices: [VALUE, ...]}")
        return None
    if not isinstance(is_log, bool):
        faults.add(
            f"{name}.log", f"wrong type {quote(is_log)}", "allowed: true or false"
        )
        return None
    if not _is_number(low) or not _is_number(high) or not low < high:
        faults.add(
            name,
            f"low {quote(low)} and high {quote(high)}",
            "allowed: two numbers, low below high",
        )
        return None
    if is_log and low <= 0:
        faults.add(f"{name}.low", f"{low} has no logarithm", "allowed: above 0")
        return None
    return Range(low=kind(low), high=kind(high), is_log=is_log, is_whole=kind is int)


def _is_number(value: object) -> typing.TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_free(name: str) -> bool:
    first, *rest = name.split(".")
    if first == "graph":
        return any(step.split("[")[0] in _FREE_OF_GRAPH for step in rest)
    return first not in _FIXED


def _number_type(name: str) -> type[int] | type[float] | None:
    """Returns int or float for the field of such a type, or None."""
    kind: object = TrainConfig
    for step in name.split("."):
        hints = typing.get_type_hints(kind) if isinstance(kind, type) else {}
        kind = hints.get(step.split("[")[0])
        if isinstance(kind, types.UnionType) or typing.get_origin(kind) is tuple:
            kind = typing.get_args(kind)[0]
    if kind is int:
        return int
    return float if kind is float else None
