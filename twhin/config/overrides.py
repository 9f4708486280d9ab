# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Overrides: single values of a configuration, set on the command line."""

import re
from collections.abc import Sequence

from google.protobuf.descriptor import Descriptor

from twhin import errors
from twhin.config import yaml_text
from twhin.config.faults import quote

_PATH = re.compile(r"\w+(\[\d+\])*(\.\w+(\[\d+\])*)*", re.ASCII)
_STEP = re.compile(r"\w+", re.ASCII)


def apply_override(tree: object, assignment: str, descriptor: Descriptor) -> object:
    """Returns a parsed configuration with one value set.

    Setting a member of a oneof unsets the other members. Whether the field
    exists and takes the value is for `load_message` to say.

    Args:
      tree: The configuration as YAML gives it.
      assignment: "path.to.field=value" or "path.to.list[0].field=value"; the
        value is YAML, null unsets the field.
      descriptor: The message that `tree` is about.

    Raises:
      ConfigError: The assignment has no such form, its value is not YAML, or
        its path leads through something that is not a mapping or a list.
    """
    where = f"--override={assignment}"
    path, equals, value_text = assignment.partition("=")
    if not equals or not _PATH.fullmatch(path):
        raise errors.ConfigError(
            f"{where}: {quote(path)} is not a path with a value; allowed:"
            " path.to.field=value, path.to.list[0].field=value"
        )
    keys = [int(key) if key.isdigit() else key for key in _STEP.findall(path)]
    value = yaml_text.parse(value_text, where)
    return _with_value(tree, keys, value, descriptor, where)


def _with_value(
    tree: object,
    keys: Sequence[str | int],
    value: object,
    message: Descriptor | None,
    where: str,
) -> object:
    """Returns `tree`, which is a `message` where that is known, with the value."""
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(key, int):
        elements = list(tree) if isinstance(tree, list) else [tree]
        if key >= len(elements):
            raise errors.ConfigError(
                f"{where}: index {key} is out of range; allowed: [0, {len(elements)})"
            )
        elements[key] = _with_value(elements[key], rest, value, message, where)
        return elements
    if isinstance(tree, list):
        raise errors.ConfigError(
            f"{where}: {key!r} is looked for in a list; allowed: the index of one of"
            f" its {len(tree)} elements before it, like [0].{key}"
        )
    if not isinstance(tree, dict | None):
        raise errors.ConfigError(
            f"{where}: {key!r} is looked for in {quote(tree)}; allowed: the field of a"
            " mapping"
        )
    tree = tree or {}
    field = message.fields_by_name.get(key) if message else None
    inner = field.message_type if field else None
    child = _with_value(tree.get(key), rest, value, inner, where)
    replaced = set()
    if field and field.containing_oneof and child is not None:
        replaced = {member.name for member in field.containing_oneof.fields} - {key}
    return {name: old for name, old in tree.items() if name not in replaced} | {
        key: child
    }
