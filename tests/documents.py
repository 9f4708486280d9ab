# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Parts of Markdown documents: blocks of code, links, anchors, commands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)
_INDENTED = re.compile(r"^ {4,}\S.*$", re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_COMMAND = re.compile(r"(?://twhin:(\w+) --|-m twhin\.bin\.(\w+))(?: (.*))?$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
      kind: What stands behind the fence: "sh", "python", "text", ...
      text: Its lines.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the project that a document shows.

    Attributes:
      name: As in //twhin:NAME.
      flags: The names of the flags behind it.
    """

    name: str
    flags: tuple[str, ...]


def blocks(document: Path) -> list[Block]:
    """Returns the fenced blocks of a document, in order."""
    return [Block(m[2], m[3]) for m in _FENCE.finditer(document.read_text())]


def links(document: Path) -> list[str]:
    """Returns the targets of the links of a document, code left out."""
    text = _FENCE.sub("", document.read_text())
    return _LINK.findall(_INLINE.sub("", text))


def anchors(document: Path) -> set[str]:
    """Returns the anchors of a document's headings, as web pages of it have them."""
    headings = _HEADING.findall(_FENCE.sub("", document.read_text()))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


def code(document: Path) -> list[str]:
    """Returns all code of a document: whole lines, and what stands in backticks."""
    text = document.read_text().replace("\\\n", " ")
    fenced = [line for m in _FENCE.finditer(text) for line in m[3].splitlines()]
    rest = _FENCE.sub("", text)
    return [*fenced, *_INDENTED.findall(rest), *_INLINE.findall(rest)]


def commands(document: Path) -> Iterator[Command]:
    """Yields the commands of the project that a document shows."""
    for line in code(document):
        if match := _COMMAND.search(line.rstrip()):
            arguments = (match[3] or "").split(" # ")[0]
            flags = re.findall(r"(?:^|\s)--(\w+)", arguments)
            yield Command(match[1] or match[2], tuple(flags))
