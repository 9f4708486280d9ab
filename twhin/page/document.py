# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A whole page: one file with its style and its script, nothing from elsewhere."""

from pathlib import Path

from twhin.page.markup import Content, Markup, element, join

_STYLE = Path(__file__).with_name("style.css")
# An icon of our own, so that no browser asks the server for one.
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'"
    "%3E%3Cg fill='none' stroke='%230a5cc5' stroke-width='3'%3E%3Ccircle cx='8' cy='9'"
    " r='4'/%3E%3Ccircle cx='24' cy='13' r='4'/%3E%3Ccircle cx='12' cy='25' r='4'/%3E"
    "%3Cpath d='M12 10l8 2M9 13l2 8M15 23l6-7'/%3E%3C/g%3E%3C/svg%3E"
)


def make_document(title: str, *content: Content, style: str = "", script: str) -> str:
    """Returns an HTML document, ASCII.

    Args:
      title: The title of the window.
      *content: The content of its body.
      style: Rules beside those of all pages.
      script: JavaScript that runs when the body is there.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        Markup(f'<link rel="icon" href="{_ICON}">'),
        element("style", Markup(_STYLE.read_text(encoding="ascii") + style)),
    )
    skip = element("a", "Skip to the content", class_="skip", href="#content")
    body = element("body", skip, join(content), element("script", Markup(script)))
    page = element("html", head, "\n", body, lang="en")
    return f"<!DOCTYPE html>\n{page}\n"
