# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""YAML with the plain scalars of YAML 1.2 and without repeated keys.

PyYAML alone follows YAML 1.1, where `1e-8` is text, `no` is a boolean and
`1:30` is ninety; each of them surprises in a configuration.
"""

import re
from typing import Any

import yaml

from twhin import errors

_PLAIN_SCALARS = (
    ("null", re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")),
    ("int", re.compile(r"[-+]?(0|[1-9][0-9_]*)"), list("-+0123456789")),
    (
        "float",
        re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
        list("-+.0123456789"),
    ),
)


class _Loader(yaml.SafeLoader):
    """Reads plain scalars by `_PLAIN_SCALARS` and refuses repeated keys."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Any, Any]:
        """Returns the mapping of a YAML node."""
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, (str, int, float)):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be text", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"repeated key {key!r}", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes text that `_Loader` would read as something else."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indents lists inside mappings."""
        super().increase_indent(flow, False)


for _class in (_Loader, _Dumper):
    _class.yaml_implicit_resolvers = {}  # Without those of YAML 1.1.
    for _tag, _pattern, _first in _PLAIN_SCALARS:
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}",
            re.compile(f"(?:{_pattern.pattern})\\Z"),
            _first,
        )


def parse(text: str, where: str) -> object:
    """Returns what a YAML text holds: mappings, lists, text, numbers, None.

    Args:
      text: One YAML document.
      where: The name of the text in errors.

    Raises:
      ConfigError: The text is not YAML, or a mapping repeats a key.
    """
    try:
        tree: object = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark
        place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        raise errors.ConfigError(f"{place}: {err.problem}; YAML is needed") from err
    except RecursionError as err:
        raise errors.ConfigError(
            f"{where}: nested too deeply; a YAML mapping of mappings is needed"
        ) from err
    except yaml.YAMLError as err:
        reason = " ".join(str(err).split())
        raise errors.ConfigError(f"{where}: {reason}; YAML is needed") from err
    return tree


def dump(tree: object) -> str:
    """Returns YAML text that `parse` reads back as the same tree."""
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, width=80)
    return text
