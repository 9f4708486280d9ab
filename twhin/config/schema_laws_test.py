# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Holds the schema, its comments, the settings, the defaults and the rules together.

Every field of every message is walked: one without settings, without the default
that its comment states or without the rule that its comment states fails here.
"""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from tools.docs.proto_comments import FieldComments, read_comments
from twhin import scoring
from twhin.config import enums, settings, yaml_text
from twhin.config.resolved_config import load_config
from twhin.testing.broken_data import BROKEN_DATA
from twhin.testing.broken_graphs import BROKEN_GRAPHS, BROKEN_WARM_STARTS
from twhin.testing.broken_runs import BROKEN_EVALUATIONS, BROKEN_TRAINING
from twhin.testing.config_case import ConfigCase

_COMMENTS = read_comments(["twhin/v1/graph.proto", "twhin/v1/train_config.proto"])
_NUMBERS = {"int32": int, "int64": int, "double": float}
_SCALARS = {**_NUMBERS, "string": str, "bool": bool}

# Text of which every value is good; why.
_NO_RULE = {
    "Data.root": "a folder is looked at when it is read",
    "RawEdges.base_vocabulary": "a folder is looked at when it is read",
    "WarmStart.checkpoint": "a folder is looked at when it is read",
    "WarmStart.bundle": "a folder is looked at when it is read",
    "Export.bundle_root": "a folder is made when it is written",
    "EdgeSource.filter": "DuckDB judges SQL",
}
# Defaults that depend on other fields; resolve_test.py holds them.
_COMPUTED = {
    "EntityType.table",
    "Table.learning_rate",
    "Table.optimizer",
    "TrainConfig.relation_optimizer",
    "TrainConfig.warm_start",
    "RawEdges.holdout",
    "Data.root",
    "EdgeSource.format",
}
_LITERAL = re.compile(
    r"(\[[^\]]*\]|\"[^\"]*\"|[A-Z]+(?:_[A-Z0-9]+)+|true|false|[0-9.]+(?:e-?\d+)?)"
    r"(?=$|[:, ])"
)


def _walk(message: str = "TrainConfig", path: str = "") -> Iterator[tuple[str, str]]:
    """Yields (path, "Message.field") of every field that a configuration can have."""
    for field in _COMMENTS.messages[message].fields:
        inner = f"{path}.{field.name}" if path else field.name
        yield inner, f"{message}.{field.name}"
        if field.type_name in _COMMENTS.messages:
            index = "[0]" if field.is_repeated else ""
            yield from _walk(field.type_name, inner + index)


_FIELDS = {
    f"{message.name}.{field.name}": field
    for message in _COMMENTS.messages.values()
    for field in message.fields
}
_PATHS = {name: path for path, name in reversed(list(_walk()))}
_NUMERIC = [name for name, field in _FIELDS.items() if field.type_name in _NUMBERS]
_every_field = pytest.mark.parametrize("name", _FIELDS)
_every_number = pytest.mark.parametrize("name", _NUMERIC)


def test_every_message_can_be_reached() -> None:
    assert set(_PATHS) == set(_FIELDS)


def test_settings_have_the_messages_and_enums_of_the_schema_and_no_others() -> None:
    modules = (settings.__name__, enums.__name__, scoring.__name__)
    mirrors = {
        name
        for name, value in vars(settings).items()
        if isinstance(value, type) and value.__module__ in modules
    }

    assert mirrors == set(_COMMENTS.messages) | set(_COMMENTS.enums)


@pytest.mark.parametrize("name", _COMMENTS.messages)
def test_settings_mirror_the_message(name: str) -> None:
    hints = typing.get_type_hints(getattr(settings, name))

    assert list(hints) == [field.name for field in _COMMENTS.messages[name].fields]
    for field in _COMMENTS.messages[name].fields:
        assert _without_none(hints[field.name]) == _mirror(field), field.name


@pytest.mark.parametrize("name", _COMMENTS.enums)
def test_settings_mirror_the_enum(name: str) -> None:
    mirror: type[StrEnum] = getattr(settings, name)

    assert [str(one) for one in mirror] == [
        value.name for value in _COMMENTS.enums[name].values
    ]


@_every_field
def test_comment_says_whether_the_field_is_needed(name: str) -> None:
    field = _FIELDS[name]

    if field.oneof is None:
        assert re.match(
            r"(Required|Optional(; default:? .+?)?)\. [A-Z\"]", field.comment
        )
        assert (
            field.type_name in _COMMENTS.messages or field.is_required or field.default
        )


@_every_field
def test_default_is_the_one_that_the_comment_states(name: str, tmp_path: Path) -> None:
    field = _FIELDS[name]
    if field.default is None or name in _COMPUTED:
        return
    message, _, attribute = name.partition(".")

    value = getattr(_resolved(tmp_path)[message], attribute)

    match = _LITERAL.match(field.default)
    if match is None:
        assert value in (None, ()), f"the comment states {field.default!r}"
    elif field.type_name in _COMMENTS.enums:
        prefix = re.sub("(?<!^)([A-Z])", r"_\1", field.type_name).upper()
        assert f"{prefix}_{value}".upper() == match[1]
    else:
        stated = yaml_text.parse(match[1], name)
        assert value == (tuple(stated) if isinstance(stated, list) else stated)


@_every_field
def test_value_of_a_wrong_type_is_refused_at_its_path(
    name: str, tmp_path: Path
) -> None:
    field, path = _FIELDS[name], _PATHS[name]
    wrong = "[[]]" if field.is_repeated else "[1]"

    lines = ConfigCase(tmp_path).faults(f"{path}={wrong}")

    where = f"{path}[0]" if field.is_repeated else path
    assert any(
        line.startswith((f"{where}: wrong type ", f"{where}: unknown value "))
        for line in lines
    )


@_every_number
def test_number_out_of_the_stated_range_is_refused(name: str, tmp_path: Path) -> None:
    interval = _FIELDS[name].interval
    assert interval is not None, "the comment states no range"
    case, where = ConfigCase(tmp_path), _element_path(name)
    allowed = {interval, f"at least {interval[1:].split(',')[0]}"}

    for value in _edges(interval, is_inside=False, kind=_kind(name)):
        lines = case.faults(f"{_PATHS[name]}={_value(name, value)}")

        faults = [line for line in lines if line.startswith(f"{where}: ")]
        assert allowed & {line.partition("; allowed: ")[2] for line in faults}


@_every_number
def test_number_at_the_edge_of_the_stated_range_is_allowed(
    name: str, tmp_path: Path
) -> None:
    interval = _FIELDS[name].interval
    assert interval is not None, "the comment states no range"
    case, where = ConfigCase(tmp_path), _element_path(name)

    for value in _edges(interval, is_inside=True, kind=_kind(name)):
        lines = case.faults(f"{_PATHS[name]}={_value(name, value)}")

        assert not [line for line in lines if line.startswith(f"{where}: ")]


def test_text_has_a_rule_that_a_broken_configuration_shows() -> None:
    cases = (
        *BROKEN_GRAPHS,
        *BROKEN_WARM_STARTS,
        *BROKEN_DATA,
        *BROKEN_TRAINING,
        *BROKEN_EVALUATIONS,
    )
    lines = [line for _, message in cases for line in message.split("\n")]
    faulty = {_without_indices(line.split(": ")[0]) for line in lines}
    by_path = {_without_indices(path): name for path, name in _walk()}
    with_rule = {by_path[path] for path in faulty if path in by_path}

    text = {name for name, field in _FIELDS.items() if field.type_name == "string"}

    assert text - with_rule == set(_NO_RULE)


def _mirror(field: FieldComments) -> Any:
    one: Any = _SCALARS.get(field.type_name) or getattr(settings, field.type_name)
    return tuple[one, ...] if field.is_repeated else one


def _without_none(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        (hint,) = set(typing.get_args(hint)) - {types.NoneType}
    return hint


def _without_indices(path: str) -> str:
    return re.sub(r"\[\d+\]", "", path)


def _resolved(folder: Path) -> dict[str, Any]:
    """Returns settings of each class in which only what is required is set."""
    case = ConfigCase(folder)
    configs = [
        case.load(),
        load_config(),
        case.load("data.raw.train.paths=a"),
        case.load(
            "data.encoded.train=a",
            "graph.entity_types[0].num_entities=1",
            "graph.entity_types[1].num_entities=1",
        ),
        case.load("evaluation={retrieval_relations: likes, mixture: {}}"),
    ]
    found: dict[str, Any] = {}
    for config in configs:
        for one in _dataclasses(config.settings):
            found.setdefault(type(one).__name__, one)
    return found


def _dataclasses(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for one in value:
            yield from _dataclasses(one)
    elif dataclasses.is_dataclass(value):
        yield value
        for field in dataclasses.fields(value):
            yield from _dataclasses(getattr(value, field.name))


def _kind(name: str) -> type:
    return _NUMBERS[_FIELDS[name].type_name]


def _element_path(name: str) -> str:
    return _PATHS[name] + ("[0]" if _FIELDS[name].is_repeated else "")


def _value(name: str, value: object) -> str:
    return f"[{value}]" if _FIELDS[name].is_repeated else str(value)


def _edges(interval: str, *, is_inside: bool, kind: type) -> list[object]:
    """Returns the numbers next to the bounds of "[0, 1)", within or without."""
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    edges = [(low, -1, interval[0] == "["), (high, 1, interval[-1] == "]")]
    values: list[float] = []
    for bound, outward, is_closed in edges:
        if math.isinf(bound):
            # 1e999 is read as infinity.
            values += [math.inf] if kind is float and not is_inside else []
        elif is_closed is is_inside:
            values.append(bound)
        elif kind is int:
            values.append(bound + outward)
        else:
            toward = outward if not is_inside else -outward
            values.append(math.nextafter(bound, bound + toward))
    return [kind(one) if math.isfinite(one) else "1e999" for one in values]
