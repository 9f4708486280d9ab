# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of markup, documents and numbers."""

from twhin.page.document import make_document
from twhin.page.markup import Markup, element, escape
from twhin.page.numbers import format_metric, format_short


def test_text_is_escaped_and_markup_is_not() -> None:
    inside = element("b", "<i>")

    assert inside == "<b>&lt;i&gt;</b>"
    assert element("p", inside, " & ", 3) == "<p><b>&lt;i&gt;</b> &amp; 3</p>"
    assert element("p", [["a"], None, Markup("<br/>")]) == "<p>a<br/></p>"


def test_attributes_are_escaped() -> None:
    made = element("a", title='"><script>', aria_label="x", hidden=True, id=None)

    assert made == ('<a title="&quot;&gt;&lt;script&gt;" aria-label="x" hidden></a>')


def test_pages_are_ascii_whatever_the_ids_are() -> None:
    page = make_document("caf\u00e9", element("p", "\U0001f600"), script="let x = 1;")

    assert page.isascii()
    assert escape("\u00e9") == "&#233;"
    assert "&#128512;" in page


def test_numbers_are_short() -> None:
    assert [format_short(x) for x in (0.025, 12_000, 2_500_000, -3)] == [
        "0.025",
        "12k",
        "2.5M",
        "\u22123",
    ]
    assert [format_metric(x) for x in (0.12345, 1234.56, None)] == [
        "0.1235",
        "1,234.6",
        "-",
    ]
