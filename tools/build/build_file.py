# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A BUILD file as text: rules with comments, read and written back.

The syntax of BUILD files is a part of Python's, so `ast` reads it.
"""

import ast
from dataclasses import dataclass, field

# Attributes in the order of buildifier; others stand between, by name.
_FIRST = ("name", "size", "testonly", "srcs")
_LAST = ("visibility", "deps")


@dataclass(slots=True)
class Statement:
    """A statement with the comment above it.

    Attributes:
      comment: Lines of the comment, with their line ends, or "".
      text: The statement as it stands.
      kind: The rule's name for a call with a `name`, else "".
      attributes: The source text of each argument of such a call.
    """

    comment: str
    text: str
    kind: str = ""
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The target's name, or "" for other statements."""
        return str(ast.literal_eval(self.attributes["name"])) if self.kind else ""

    def render(self) -> str:
        """Returns the statement as buildifier would write it."""
        if not self.kind:
            return f"{self.comment}{self.text}\n"
        middle = sorted(set(self.attributes) - set(_FIRST) - set(_LAST))
        order = [*_FIRST, *middle, *_LAST]
        lines = "".join(
            f"    {key} = {self.attributes[key]},\n"
            for key in order
            if key in self.attributes
        )
        return f"{self.comment}{self.kind}(\n{lines})\n"


def parse(source: str) -> list[Statement]:
    """Returns the statements of a BUILD file, in order."""
    lines = source.splitlines(keepends=True)
    statements, end = [], 0
    for part in ast.parse(source).body:
        assert part.end_lineno is not None
        comment = "".join(lines[end : part.lineno - 1]).lstrip("\n")
        text = "".join(lines[part.lineno - 1 : part.end_lineno]).rstrip("\n")
        statement = Statement(comment, text)
        call = part.value if isinstance(part, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            keywords = {
                k.arg: ast.get_source_segment(source, k.value) or ""
                for k in call.keywords
                if k.arg
            }
            if "name" in keywords:
                statement.kind, statement.attributes = call.func.id, keywords
        statements.append(statement)
        end = part.end_lineno
    return statements


def render(statements: list[Statement]) -> str:
    """Returns the text of a BUILD file."""
    return "\n".join(statement.render() for statement in statements)


def list_literal(values: list[str]) -> str:
    """Returns a list of strings as buildifier would write it in a rule."""
    if len(values) < 2:
        return "[" + "".join(f'"{value}"' for value in values) + "]"
    return "[\n" + "".join(f'        "{value}",\n' for value in values) + "    ]"


def label_key(label: str) -> tuple[int, list[str]]:
    """Returns the sort key of a label: ":x" first, then "//x", then "@x"."""
    phase = 1 if label.startswith(":") else 2 if label.startswith("//") else 3
    return phase, label.replace(":", "/").split("/")
