# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes docs/configuration.md from the comments of the schema.

    python tools/docs/configuration_reference.py

A test fails where the file is not what this would write.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

if not __package__:  # Run as a file: the root is not on the path yet.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.docs.proto_comments import (
    EnumComments,
    FieldComments,
    MessageComments,
    ProtoComments,
    read_comments,
)

_ROOT = Path(__file__).resolve().parents[2]
TARGET = _ROOT / "docs" / "configuration.md"
INTRO = _ROOT / "tools" / "docs" / "configuration_intro.md"

_FILES = ("twhin/v1/graph.proto", "twhin/v1/train_config.proto")
_TOP = "TrainConfig"
_SCALARS = {
    "string": ("text", "text"),
    "bool": ("`true`, `false`", "`true`, `false`"),
    "int32": ("whole number", "whole numbers"),
    "int64": ("whole number", "whole numbers"),
    "double": ("number", "numbers"),
}
_CONSTANT = re.compile(r"\b[A-Z]+(?:_[A-Z0-9]+)+\b")
_CODE = re.compile(r"(`[^`]*`)")


def render(comments: ProtoComments, intro: str) -> str:
    """Returns the text of the reference.

    Args:
      comments: The schema's messages and enums; `TrainConfig` is the whole file.
      intro: What comes before the tables.
    """
    return "\n\n".join(_Reference(comments).blocks(intro.rstrip())) + "\n"


class _Reference:
    """The parts of the reference, which link to each other by heading."""

    def __init__(self, comments: ProtoComments) -> None:
        self._comments = comments
        self._paths: dict[str, list[str]] = {}
        self._collect_paths(_TOP, "")
        self._short_names = {
            f"{_prefix(enum.name)}_{value.name}".upper(): value.name
            for enum in comments.enums.values()
            for value in enum.values
        }

    def blocks(self, intro: str) -> Iterator[str]:
        """Yields the paragraphs."""
        yield intro
        top = self._comments.messages[_TOP]
        yield "## The whole file"
        yield self._table(top, "")
        for name, paths in self._paths.items():
            yield f"## {paths[0]}"
            yield self._describe(self._comments.messages[name], paths)
            yield self._table(self._comments.messages[name], paths[0])
        yield "## Values"
        yield "The words that fields with a fixed choice take."
        for enum in self._comments.enums.values():
            yield f"### {enum.name}"
            yield self._text(enum.comment)
            yield self._values(enum)

    def _collect_paths(self, message: str, path: str) -> None:
        """Notes where in the file each message occurs, in the order of reading."""
        for field in self._comments.messages[message].fields:
            if field.type_name in self._comments.messages:
                inner = f"{path}.{field.name}" if path else field.name
                self._paths.setdefault(field.type_name, []).append(inner)
                self._collect_paths(field.type_name, inner)

    def _describe(self, message: MessageComments, paths: list[str]) -> str:
        text = self._text(message.comment)
        if len(paths) > 1:
            others = ", ".join(f"`{path}`" for path in paths[1:])
            text += f" The same for {others}."
        return text

    def _table(self, message: MessageComments, path: str) -> str:
        lines = ["| Field | Allowed | Default | Meaning |", "|---|---|---|---|"]
        for field in message.fields:
            cells = (
                f"`{field.name}`",
                self._allowed(field, path),
                self._default(field),
                self._text(_without_range(field)),
            )
            escaped = (cell.replace("|", "\\|") for cell in cells)
            lines.append(f"| {' | '.join(escaped)} |")
        return "\n".join(lines)

    def _allowed(self, field: FieldComments, path: str) -> str:
        if field.type_name in self._comments.messages:
            inner = f"{path}.{field.name}" if path else field.name
            heading = self._paths[field.type_name][0]
            each = "list of " if field.is_repeated else ""
            return f"{each}[{inner}](#{_slug(heading)})"
        if field.type_name in self._comments.enums:
            values = self._comments.enums[field.type_name].values
            words = ", ".join(f"`{value.name}`" for value in values)
            return f"[{field.type_name}](#{_slug(field.type_name)}): {words}"
        one, many = _SCALARS[field.type_name]
        kind = f"list of {many}" if field.is_repeated else one
        if field.interval is None or field.type_name == "string":
            return kind
        low, high = field.interval[1:-1].split(", ")
        if field.interval[0] == "[" and high == "inf":
            return f"{kind}, at least {low}"
        return f"{kind} in {field.interval}"

    def _default(self, field: FieldComments) -> str:
        if field.is_required:
            return "**required**"
        if field.oneof is not None:
            return f"one {field.oneof} is **required**"
        if field.default is None:
            return "see there"
        return self._text(field.default)

    def _values(self, enum: EnumComments) -> str:
        return "\n".join(
            f"- `{value.name}`: {self._text(value.comment)}" for value in enum.values
        )

    def _text(self, comment: str) -> str:
        """Returns Markdown with constants as the words that YAML has."""
        parts = _CODE.split(comment)
        parts[::2] = [
            _CONSTANT.sub(self._word, part.replace("*", "\\*")) for part in parts[::2]
        ]
        return "".join(parts)

    def _word(self, match: re.Match[str]) -> str:
        short = self._short_names.get(match[0])
        return match[0] if short is None else f"`{short}`"


def _without_range(field: FieldComments) -> str:
    """Returns the meaning, the range left out where the column before it has it."""
    if field.interval is None or field.type_name == "string":
        return field.meaning
    low = field.interval[1:].split(",")[0]
    stated = f"(?:in {re.escape(field.interval)}|at least {low})"
    sentence = f"(?i: (?<=\\. ){stated}\\.)|, {stated}(?=\\.)"
    return re.sub(sentence, "", field.meaning)


def _prefix(enum: str) -> str:
    return re.sub("(?<!^)([A-Z])", r"_\1", enum)


def _slug(heading: str) -> str:
    """Returns the anchor that a Markdown renderer gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def new_text() -> str:
    """Returns what docs/configuration.md should be."""
    return render(read_comments(_FILES), INTRO.read_text(encoding="utf-8"))


def main() -> None:
    """Writes docs/configuration.md."""
    TARGET.write_text(new_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
