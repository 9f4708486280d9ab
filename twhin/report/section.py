# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A section of the report: what it is about, and its figures."""

from dataclasses import dataclass

from twhin.page.markup import Content, Markup, element


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section.

    Attributes:
      name: Its place in the page's address.
      title: Its title.
      about: Paragraphs that say how to read it.
      figures: What it shows.
    """

    name: str
    title: str
    about: tuple[Content, ...]
    figures: tuple[Markup | None, ...]

    def render(self) -> Markup:
        """Returns it as HTML."""
        head = f"{self.name}-title"
        return element(
            "section",
            element(
                "div",
                element("h2", self.title, id=head),
                [element("p", text) for text in self.about],
                class_="about",
            ),
            element("div", self.figures, class_="figures"),
            class_="section",
            id=self.name,
            aria_labelledby=head,
        )
