# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the report, as text and in a browser."""

import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from twhin.report.write_report import write_report
from twhin.testing.chromium import Chromium
from twhin.testing.small_run import write_small_run

_SECTIONS = ("training", "quality", "graph", "embeddings", "run")


@pytest.fixture(scope="module", name="run")
def _run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Returns a run's folder and its checkpoint."""
    folder = tmp_path_factory.mktemp("runs") / "a_<run>"
    return folder, write_small_run(folder)


@pytest.fixture(scope="module", name="report")
def _report(run: tuple[Path, Path]) -> Path:
    folder, checkpoint = run
    return write_report(folder, checkpoint=checkpoint)


class _Outline(HTMLParser):
    """Notes ids, links and the order of headings, and checks that tags close."""

    _VOID = ("meta", "link", "circle", "line", "path", "rect", "input", "br", "i")

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.headings: list[int] = []
        self.pictures: list[str | None] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if named.get("id"):
            self.ids.add(str(named["id"]))
        if tag == "a":
            self.links.append(str(named["href"]))
        if tag == "svg":
            self.pictures.append(named.get("aria-label"))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self._VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._VOID:
            assert self.open.pop() == tag


def test_report_is_one_file_that_needs_nothing_else(report: Path) -> None:
    text = report.read_bytes().decode("ascii")

    assert report.name == "report.html"
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', text)
    assert not re.findall(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)


def test_names_of_users_are_escaped(report: Path) -> None:
    text = report.read_text()

    assert "a_&lt;run&gt;" in text
    assert "<run>" not in text


def test_every_section_is_there_and_linked(report: Path) -> None:
    outline = _Outline()
    outline.feed(report.read_text())

    assert [f"#{name}" for name in _SECTIONS] == outline.links[1:]
    assert set(_SECTIONS) | {"content"} <= outline.ids
    assert outline.open == []


def test_headings_descend_by_one_and_pictures_are_described(report: Path) -> None:
    outline = _Outline()
    outline.feed(report.read_text())

    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    steps = zip(outline.headings, outline.headings[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps)
    assert len(outline.pictures) > 10
    assert all(outline.pictures)


def test_a_run_without_metrics_still_has_a_report(tmp_path: Path) -> None:
    checkpoint = write_small_run(tmp_path)
    (tmp_path / "metrics.json").unlink()
    (tmp_path / "history.jsonl").unlink()

    outline = _Outline()
    outline.feed(write_report(tmp_path, checkpoint=checkpoint).read_text())

    assert {"graph", "embeddings", "run"} <= outline.ids
    assert not {"training", "quality"} & outline.ids


def test_report_is_fast(run: tuple[Path, Path]) -> None:
    folder, checkpoint = run
    started = time.process_time()

    write_report(folder, checkpoint=checkpoint)

    assert time.process_time() - started < 10


@pytest.mark.parametrize("dark", [False, True])
def test_browser_shows_it_without_complaint(
    report: Path, tmp_path: Path, dark: bool
) -> None:
    with Chromium(tmp_path / "profile") as browser:
        browser.open(report.as_uri(), dark=dark)
        browser.screenshot(tmp_path / "report.png")
        ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        width = browser.evaluate("document.documentElement.scrollWidth")

        assert browser.complaints == []
        assert sum(map(int, re.findall(r"\d+", ground))) < 200 if dark else True
        assert width <= 1280
        assert (tmp_path / "report.png").stat().st_size > 50_000


def test_a_narrow_window_needs_no_sideways_scrolling(
    report: Path, tmp_path: Path
) -> None:
    with Chromium(tmp_path / "profile") as browser:
        browser.open(report.as_uri(), width=390)

        assert browser.evaluate("document.documentElement.scrollWidth") <= 390


def test_arrow_keys_read_a_chart(report: Path, tmp_path: Path) -> None:
    with Chromium(tmp_path / "profile") as browser:
        browser.open(report.as_uri())
        browser.evaluate("document.querySelector('svg.reading-chart').focus()")
        browser.press("ArrowRight")
        first = browser.evaluate("document.querySelector('#tip').textContent")
        browser.press("ArrowRight")
        second = browser.evaluate("document.querySelector('#tip').textContent")
        browser.press("Escape")

        assert first == "step 5\nloss: 7.5"
        assert second == "step 10\nloss: 7"
        assert browser.evaluate("document.querySelector('#tip').hidden")
        assert browser.complaints == []


def test_colours_of_the_map_can_be_chosen(report: Path, tmp_path: Path) -> None:
    colours = (
        "new Set([...document.querySelectorAll('svg.by-neighbours .t0')]"
        ".map(dot => getComputedStyle(dot).fill)).size"
    )
    with Chromium(tmp_path / "profile") as browser:
        browser.open(report.as_uri())
        by_type = browser.evaluate(colours)
        browser.evaluate("document.querySelector('[value=cluster]').click()")

        assert by_type == 1
        assert browser.evaluate(colours) > 3
