# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A picture with its title, its legend, and its numbers as a table below."""

from collections.abc import Sequence
from dataclasses import dataclass

from twhin.page.markup import Content, Markup, element

WIDE = 736
HALF = 348


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    """What a colour stands for.

    Attributes:
      name: The name.
      ink: A class of the style sheet: "accent", "other", or "0" to "7".
      mark: "" for a line, "dashed" or "dot".
    """

    name: str
    ink: str
    mark: str = ""


def make_figure(
    title: str,
    picture: Content,
    *,
    legend: Sequence[LegendEntry] = (),
    controls: Content = None,
    data: Markup | None = None,
    note: str | None = None,
    is_half: bool = False,
) -> Markup:
    """Returns a figure.

    Args:
      title: Says what is seen.
      picture: The picture.
      legend: Left out where there is nothing to tell apart.
      controls: Stand where the legend stands.
      data: The table of the picture's numbers, for those who cannot see it.
      note: A line below.
      is_half: Whether two of them stand side by side.
    """
    return element(
        "figure",
        element("figcaption", element("h3", title), make_legend(legend), controls),
        picture,
        None if note is None else element("p", note, class_="note"),
        None
        if data is None
        else element(
            "details",
            element("summary", "Numbers"),
            data,
        ),
        class_="half" if is_half else None,
    )


def make_legend(legend: Sequence[LegendEntry]) -> Markup | None:
    """Returns the names with their colours; None for none."""
    if not legend:
        return None
    return element(
        "ul",
        [
            element(
                "li",
                element("i", class_=f"is-{entry.ink} {entry.mark}".strip()),
                entry.name,
            )
            for entry in legend
        ],
        class_="legend",
    )


def make_table(
    heads: Sequence[str], rows: Sequence[Sequence[Content]], *, num_text: int = 1
) -> Markup:
    """Returns a table, which scrolls sideways where it must.

    The first cell of a row is its head.

    Args:
      heads: The names of the columns; where all are empty there is no line for
        them.
      rows: The cells of each row.
      num_text: The columns from the left that are text and not numbers.
    """

    def kind(column: int) -> str | None:
        return "text" if column < num_text else None

    names = [
        element("th", head, scope="col", class_=kind(column))
        for column, head in enumerate(heads)
    ]
    table = element(
        "table",
        element("thead", element("tr", names)) if any(heads) else None,
        element(
            "tbody",
            [
                element(
                    "tr",
                    element("th", row[0], scope="row"),
                    [
                        element("td", cell, class_=kind(column))
                        for column, cell in enumerate(row[1:], 1)
                    ],
                )
                for row in rows
            ],
        ),
    )
    return element("div", table, class_="scroll")


def make_picture(
    label: str, width: int, height: int, *content: Content, **more: str | bool | None
) -> Markup:
    """Returns an SVG element.

    Args:
      label: What it shows, for those who cannot see it.
      width: In pixels, of its coordinates.
      height: In pixels.
      *content: What is in it.
      **more: Further attributes.
    """
    return element(
        "svg",
        *content,
        attributes={"viewBox": f"0 0 {width} {height}", "aria-label": label},
        role="img",
        **more,
    )
