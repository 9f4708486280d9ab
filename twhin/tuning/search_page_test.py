# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The files that a search leaves: a table and a page with plots."""

import csv
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from twhin.tuning.search_page import write_page
from twhin.tuning.search_space import Choices, Range, SearchSpace
from twhin.tuning.trial import Trial, TrialState, best_first
from twhin.tuning.trial_table import plain_value, write_trials

_SPACE: SearchSpace = {
    "optimizer.learning_rate": Range(low=0.01, high=1.0, is_log=True, is_whole=False),
    "loss.kind": Choices(values=('"softmax"', '"<b>"')),
}
_METRIC = "valid/a&b"


def _trial(number: int, rate: str, kind: str, metric: float | None) -> Trial:
    return Trial(
        number=number,
        state=TrialState.FAILED if metric is None else TrialState.COMPLETE,
        values={"optimizer.learning_rate": rate, "loss.kind": kind},
        metric=metric,
        secs=1.25,
        reason="first\nsecond" if metric is None else "",
    )


_TRIALS = [
    _trial(0, "0.1", '"softmax"', 0.25),
    _trial(1, "0.01", '"<b>"', None),
    _trial(2, "1.0", '"<b>"', 0.5),
    _trial(3, "0.123456789", '"softmax"', 0.5),
]


def _page(folder: Path, trials: list[Trial]) -> str:
    write_page(folder / "search.html", trials, _SPACE, metric=_METRIC)
    (path,) = folder.iterdir()
    return path.read_text()


def _plots(page: str) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def test_best_come_first_and_the_earlier_of_equals() -> None:
    assert [trial.number for trial in best_first(_TRIALS)] == [2, 3, 0]


def test_page_has_a_plot_over_the_trials_and_one_for_each_field(tmp_path: Path) -> None:
    plots = _plots(_page(tmp_path, _TRIALS))

    titles = [plot.findall("text")[0].text for plot in plots]
    assert titles == ["trial", "optimizer.learning_rate (logarithmic)", "loss.kind"]
    for plot in plots:
        assert len(plot.findall("circle")) == 3
        assert len(plot.findall("circle[@class='best']")) == 1


def test_range_over_magnitudes_is_drawn_by_the_logarithm(tmp_path: Path) -> None:
    plot = _plots(_page(tmp_path, _TRIALS))[1]

    low, high = (float(text.get("x", "")) for text in plot.findall("text")[3:5])
    first = float(plot.findall("circle")[0].get("cx", ""))
    # 0.1 is in the middle of 0.01 and 1.
    assert first == (low + high) / 2


def test_higher_metric_is_drawn_higher(tmp_path: Path) -> None:
    plot = _plots(_page(tmp_path, _TRIALS))[0]

    heights = [float(circle.get("cy", "")) for circle in plot.findall("circle")]
    assert heights[0] > heights[1] == heights[2]


def test_best_so_far_is_a_stair(tmp_path: Path) -> None:
    plot = _plots(_page(tmp_path, _TRIALS))[0]

    first, second, last = (
        (circle.get("cx"), circle.get("cy")) for circle in plot.findall("circle")
    )
    (stair,) = plot.findall("path[@class='line']")
    assert stair.get("d") == f"M{first[0]},{first[1]}H{second[0]}V{second[1]}H{last[0]}"


def test_single_trial_is_drawn_in_the_middle(tmp_path: Path) -> None:
    plot = _plots(_page(tmp_path, _TRIALS[:1]))[0]

    (circle,) = plot.findall("circle")
    assert circle.get("cy") == "108.0"


def test_page_needs_nothing_else_and_escapes_what_users_wrote(tmp_path: Path) -> None:
    page = _page(tmp_path, _TRIALS)

    assert "http" not in page
    assert "<script" not in page
    assert "<b>" not in page
    assert "valid/a&amp;b" in page


def test_page_of_a_search_without_results_says_so(tmp_path: Path) -> None:
    page = _page(tmp_path, [_TRIALS[1]])

    assert "1 trials, 0 complete." in page
    assert _plots(page) == []


def test_table_has_a_line_for_each_trial(tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"

    write_trials(path, _TRIALS, list(_SPACE))

    with path.open(newline="") as file:
        lines = list(csv.reader(file))
    assert lines == [
        ["trial", "state", "metric", "secs", *_SPACE, "reason"],
        ["0", "complete", "0.25", "1.2", "0.1", "softmax", ""],
        ["1", "failed", "", "1.2", "0.01", "<b>", "first | second"],
        ["2", "complete", "0.5", "1.2", "1", "<b>", ""],
        ["3", "complete", "0.5", "1.2", "0.12346", "softmax", ""],
    ]


def test_value_is_plain_where_it_is_read() -> None:
    assert plain_value('"softmax"') == "softmax"
    assert plain_value('{"kind": "ranking"}') == '{"kind": "ranking"}'
    assert plain_value("12") == "12"
