# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""From a resolved protocol buffer to the dataclasses of `settings`."""

import dataclasses
import enum
import types
import typing
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from twhin.config.load import descriptor_of, enum_short_names

T = TypeVar("T")


def to_settings(message: Message, cls: type[T]) -> T:
    """Returns the dataclass with the values of a message's fields of the same name.

    Unset fields and empty text become None where the dataclass allows it.

    Args:
      message: A resolved message: no enum is unspecified.
      cls: The dataclass that mirrors it.
    """
    hints = typing.get_type_hints(cls)
    values = {name: _field(message, name, hint) for name, hint in hints.items()}
    return cls(**values)


def _field(message: Message, name: str, hint: Any) -> object:
    value = getattr(message, name)
    field = descriptor_of(message).fields_by_name[name]
    if isinstance(hint, types.UnionType):
        unset = not message.HasField(name) if field.has_presence else not value
        if unset:
            return None
        hint = next(arg for arg in typing.get_args(hint) if arg is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        element = typing.get_args(hint)[0]
        if dataclasses.is_dataclass(element):
            return tuple(to_settings(one, cast(type, element)) for one in value)
        return tuple(value)
    if dataclasses.is_dataclass(hint):
        return to_settings(value, cast(type, hint))
    if issubclass(hint, enum.StrEnum):
        assert field.enum_type is not None
        numbers = enum_short_names(field.enum_type)
        return hint(next(short for short in numbers if numbers[short] == value))
    return cast(object, value)
