# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The page: a field for an id, and the frame that the script fills."""

from pathlib import Path
from typing import Any

from twhin.page.document import make_document
from twhin.page.markup import Markup, element
from twhin.page.numbers import format_count

_STYLE = Path(__file__).with_name("explore.css")
_SCRIPT = Path(__file__).with_name("explore.js")


def make_page(description: dict[str, Any]) -> str:
    """Returns the page as HTML.

    Args:
      description: See `Explorer.describe`.
    """
    return make_document(
        "Explore - TwHIN",
        element(
            "header",
            element("p", f"Bundle {description['version']}", class_="over"),
            element("h1", "Explore"),
            _search(description),
        ),
        element(
            "main",
            element("div", _start(description), id="start"),
            element("div", id="answer", aria_live="polite", hidden=True),
            id="content",
        ),
        element("footer", description["folder"]),
        style=_STYLE.read_text(encoding="ascii"),
        script=_SCRIPT.read_text(encoding="ascii"),
    )


def _search(description: dict[str, Any]) -> Markup:
    options = [element("option", each["name"]) for each in description["entity_types"]]
    field = element(
        "input",
        id="id",
        type="text",
        role="combobox",
        autocomplete="off",
        spellcheck="false",
        autocapitalize="off",
        placeholder="Type an id",
        aria_label="Id",
        aria_expanded="false",
        aria_controls="ids",
        aria_autocomplete="list",
    )
    return element(
        "form",
        element("select", options, id="type", aria_label="Entity type"),
        element(
            "div",
            field,
            element("ul", id="ids", role="listbox", aria_label="Ids", hidden=True),
            class_="field",
        ),
        element("button", "Show", type="submit"),
        id="search",
        role="search",
    )


def _start(description: dict[str, Any]) -> Markup:
    """Returns what stands there before an entity is chosen."""
    return element(
        "section",
        element(
            "div",
            element("h2", "Entities"),
            element(
                "p",
                "Type an id above, or begin with one of these. Arrow keys walk through"
                " the suggestions; every neighbour is a link.",
            ),
            class_="about",
        ),
        element(
            "div",
            [_examples(each) for each in description["entity_types"]],
            class_="figures",
        ),
        class_="section",
    )


def _examples(entity_type: dict[str, Any]) -> Markup:
    links = [
        element("li", element("a", example, data_type=entity_type["name"], href="#"))
        for example in entity_type["examples"]
    ]
    return element(
        "div",
        element("h3", entity_type["name"]),
        element(
            "p",
            f"{format_count(entity_type['num_entities'])} entities,"
            f" {entity_type['row_format']}"
            f"{', indexed' if entity_type['is_indexed'] else ''}",
            class_="note",
        ),
        element("ul", links, class_="examples id"),
        class_="half",
    )
