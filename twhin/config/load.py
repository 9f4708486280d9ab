# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""From a parsed YAML tree to a protocol buffer, by the fields of its message."""

from collections.abc import Mapping
from typing import cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from twhin.config.faults import Faults, names, quote

_INT_BITS = {FieldDescriptor.CPPTYPE_INT32: 32, FieldDescriptor.CPPTYPE_INT64: 64}


def descriptor_of(message: Message | type[Message]) -> Descriptor:
    """Returns the descriptor of a message, in the one type that stubs agree on."""
    return cast(Descriptor, message.DESCRIPTOR)


def enum_short_names(enum: EnumDescriptor) -> Mapping[str, int]:
    """Returns the numbers of an enum's values by short name, unspecified left out.

    The short name of LOSS_KIND_SOFTMAX is "softmax".
    """
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {
        value.name.removeprefix(prefix).lower(): value.number
        for value in enum.values
        if value.number != 0
    }


def load_message(tree: object, message: Message, where: str, faults: Faults) -> None:
    """Copies a tree into a message.

    None means unset. A repeated field takes a list, or one value instead of a
    list of one. Enum values have their short or their full name.

    Args:
      tree: Mappings, lists and scalars as YAML gives them.
      message: Where the values go; empty.
      where: The path of the message; "" for the whole configuration.
      faults: Gets a fault for each unknown field and each value of a wrong type.
    """
    fields = descriptor_of(message).fields_by_name
    if not isinstance(tree, dict):
        faults.add(
            where or "configuration",
            f"wrong type {quote(tree)}",
            f"allowed: a mapping of the fields {names(fields)}",
        )
        return
    _check_oneofs(tree, descriptor_of(message), where, faults)
    for name, value in tree.items():
        path = f"{where}.{name}" if where else str(name)
        field = fields.get(name) if isinstance(name, str) else None
        if field is None:
            faults.add_unknown(path, "field", name, fields)
        elif value is not None:
            _load_field(value, message, field, path, faults)


def _check_oneofs(
    tree: Mapping[str, object], descriptor: Descriptor, where: str, faults: Faults
) -> None:
    for oneof in descriptor.oneofs:
        members = [field.name for field in oneof.fields]
        given = [name for name in members if tree.get(name) is not None]
        if len(given) > 1:
            faults.add(
                where,
                f"{names(given)} are set together",
                f"allowed: exactly one of {names(members)}",
            )


def _load_field(
    value: object, message: Message, field: FieldDescriptor, where: str, faults: Faults
) -> None:
    if field.is_repeated:
        elements = value if isinstance(value, list) else [value]
        target = getattr(message, field.name)
        for index, element in enumerate(elements):
            path = f"{where}[{index}]" if isinstance(value, list) else where
            if field.message_type is not None:
                load_message(element, target.add(), path, faults)
            elif (scalar := _scalar(element, field, path, faults)) is not None:
                target.append(scalar)
    elif field.message_type is not None:
        child = getattr(message, field.name)
        child.SetInParent()
        load_message(value, child, where, faults)
    elif (scalar := _scalar(value, field, where, faults)) is not None:
        setattr(message, field.name, scalar)


def _scalar(
    value: object, field: FieldDescriptor, where: str, faults: Faults
) -> str | bool | int | float | None:
    """Returns the value in the field's type, or None after adding a fault."""
    kind = field.cpp_type
    if field.enum_type is not None:
        return _enum_number(value, field.enum_type, where, faults)
    if kind in _INT_BITS:
        return _integer(value, _INT_BITS[kind], where, faults)
    if kind == FieldDescriptor.CPPTYPE_DOUBLE:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        allowed = "a number"
    elif kind == FieldDescriptor.CPPTYPE_BOOL:
        if isinstance(value, bool):
            return value
        allowed = "true or false"
    else:
        if isinstance(value, str):
            return value
        allowed = "text, quoted where it looks like something else"
    faults.add(where, f"wrong type {quote(value)}", f"allowed: {allowed}")
    return None


def _integer(value: object, bits: int, where: str, faults: Faults) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        faults.add(where, f"wrong type {quote(value)}", "allowed: a whole number")
        return None
    bound = 2 ** (bits - 1)
    if not -bound <= value < bound:
        faults.add(where, f"{value} is out of range", f"allowed: [{-bound}, {bound})")
        return None
    return value


def _enum_number(
    value: object, enum: EnumDescriptor, where: str, faults: Faults
) -> int | None:
    short_names = enum_short_names(enum)
    if isinstance(value, str):
        if value in short_names:
            return short_names[value]
        full = enum.values_by_name.get(value)
        if full is not None and full.number != 0:
            return full.number
    faults.add_unknown(where, "value", value, short_names)
    return None
