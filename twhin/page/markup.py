# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""HTML and SVG that escape what they are given: ids are the users' own text."""

import html
from collections.abc import Iterable, Mapping
from typing import TypeAlias

_VOID = {"br", "circle", "col", "input", "line", "meta", "path", "polyline", "rect"}


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


Content: TypeAlias = str | int | Iterable["Content"] | None
Attribute: TypeAlias = str | int | float | bool | None


def element(
    tag: str,
    *content: Content,
    attributes: Mapping[str, Attribute] | None = None,
    **more: Attribute,
) -> Markup:
    """Returns an element.

    Args:
      tag: Its name.
      *content: What is inside: text, which is escaped unless it is `Markup`, and
        sequences of it; None is left out.
      attributes: Attributes by their names as they are.
      **more: Attributes by their names with "_" for "-", and with a "_" behind
        the words that Python keeps: class_, for_. None and False are left out,
        True stands for an attribute without a value.
    """
    pairs = dict(attributes or {})
    pairs |= {name.rstrip("_").replace("_", "-"): value for name, value in more.items()}
    head = "".join(_attribute(name, value) for name, value in pairs.items())
    if tag in _VOID and not content:
        return Markup(f"<{tag}{head}/>")
    return Markup(f"<{tag}{head}>{join(content)}</{tag}>")


def join(content: Iterable[Content]) -> Markup:
    """Returns pieces of content, one behind the other."""
    parts = []
    for part in content:
        if isinstance(part, Markup):
            parts.append(part)
        elif isinstance(part, str | int):
            parts.append(escape(str(part)))
        elif part is not None:
            parts.append(join(part))
    return Markup("".join(parts))


def escape(text: str) -> Markup:
    """Returns text as ASCII that shows as it is, also inside an attribute."""
    escaped = html.escape(text)
    return Markup(escaped.encode("ascii", "xmlcharrefreplace").decode("ascii"))


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    if isinstance(value, float):
        value = f"{value:.2f}".rstrip("0").rstrip(".")
    return f' {name}="{escape(str(value))}"'
