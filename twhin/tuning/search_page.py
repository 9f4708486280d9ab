# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The trials of a search as one HTML page with plots, which needs nothing else."""

import html
import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from twhin.tuning.search_space import Choices, Range, SearchSpace
from twhin.tuning.trial import Trial, best_first
from twhin.tuning.trial_table import plain_value

PAGE_FILE = "search.html"
_WIDTH, _HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 26, 30
_NUM_ROWS = 20
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --back: #fff; --text: #222; --line: #bbb;
  --dot: #2a6fb0; --best: #c2410c; }}
@media (prefers-color-scheme: dark) {{ :root {{ --back: #181a1b; --text: #ddd;
  --line: #555; --dot: #7db8ee; --best: #f59e6b; }} }}
body {{ background: var(--back); color: var(--text); margin: 1.5rem;
  font: 14px/1.4 system-ui, sans-serif; }}
figure {{ display: inline-block; margin: 0 1rem 1rem 0; }}
svg text {{ fill: var(--text); font-size: 11px; }}
.axis {{ stroke: var(--line); fill: none; }}
.dot {{ fill: var(--dot); fill-opacity: .75; }}
.best {{ fill: var(--best); }}
.line {{ stroke: var(--best); fill: none; stroke-width: 1.5; }}
table {{ border-collapse: collapse; }}
th, td {{ border-bottom: 1px solid var(--line); padding: .2rem .6rem; text-align: right; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{summary}</p>
{figures}
<h2>Best trials</h2>
{table}
</body>
</html>
"""


def write_page(
    path: Path, trials: Sequence[Trial], space: SearchSpace, *, metric: str
) -> None:
    """Writes the page, aside first and then renamed into place.

    It shows the metric over the trials, with the best so far, the metric over each
    field of the space, and a table of the best trials.

    Args:
      path: The file.
      trials: All trials, in their order.
      space: What was varied.
      metric: The name of the metric.
    """
    complete = [trial for trial in trials if trial.metric is not None]
    best = best_first(complete)
    figures = [_history(complete)] if complete else []
    figures += [
        _scatter(complete, name, one) for name, one in space.items() if complete
    ]
    top = f"; the best is trial {best[0].number}" if best else ""
    text = _PAGE.format(
        title=f"Search for {html.escape(metric)}",
        summary=f"{len(trials)} trials, {len(complete)} complete{top}.",
        figures="\n".join(figures),
        table=_table(best[:_NUM_ROWS], list(space)),
    )
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def _history(trials: Sequence[Trial]) -> str:
    """Returns the metric over the number of the trial, and the best so far."""
    last = max(trial.number for trial in trials)
    place = _scale(0, max(last, 1), _LEFT, _WIDTH - _RIGHT)
    height = _metric_scale(trials)
    best = -math.inf
    steps: list[str] = []
    for trial in trials:
        assert trial.metric is not None
        if trial.metric > best:
            best = trial.metric
            x, y = f"{place(trial.number):.1f}", f"{height(best):.1f}"
            steps.append(f"H{x}V{y}" if steps else f"M{x},{y}")
    line = f'<path class="line" d="{"".join(steps)}H{place(last):.1f}"/>'
    dots = [(place(trial.number), trial) for trial in trials]
    return _figure(
        "trial", [("0", place(0)), (str(last), place(last))], dots, trials, line
    )


def _scatter(trials: Sequence[Trial], name: str, dimension: Range | Choices) -> str:
    """Returns the metric over the values of a field."""
    if isinstance(dimension, Range):
        transform: Callable[[float], float] = math.log if dimension.is_log else float
        low, high = transform(dimension.low), transform(dimension.high)
        scale = _scale(low, high, _LEFT, _WIDTH - _RIGHT)
        ends = [dimension.low, dimension.high]
        ticks = [(f"{end:.5g}", scale(transform(end))) for end in ends]
        dots = [
            (scale(transform(json.loads(trial.values[name]))), trial)
            for trial in trials
        ]
    else:
        scale = _scale(-0.5, len(dimension.values) - 0.5, _LEFT, _WIDTH - _RIGHT)
        places = {value: scale(i) for i, value in enumerate(dimension.values)}
        ticks = [(plain_value(value), place) for value, place in places.items()]
        dots = [(places[trial.values[name]], trial) for trial in trials]
    is_log = isinstance(dimension, Range) and dimension.is_log
    title = f"{name} (logarithmic)" if is_log else name
    return _figure(title, ticks, dots, trials, "")


def _figure(
    title: str,
    ticks: Sequence[tuple[str, float]],
    dots: Sequence[tuple[float, Trial]],
    trials: Sequence[Trial],
    extra: str,
) -> str:
    """Returns a plot of the metric; `ticks` and `dots` come with their x."""
    height = _metric_scale(trials)
    low, high = _metric_bounds(trials)
    best = best_first(trials)[0]
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = [
        f'<path class="axis" d="M{_LEFT},{_TOP}V{bottom}H{right}"/>',
        f'<text x="{_LEFT}" y="14" font-weight="bold">{html.escape(title)}</text>',
    ]
    for value in (low, high):
        y = height(value) + 4
        parts.append(
            f'<text x="{_LEFT - 5}" y="{y:.1f}" text-anchor="end">{value:.4g}</text>'
        )
    for label, x in ticks:
        text = html.escape(label if len(label) <= 14 else label[:12] + "..")
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{text}</text>'
        )
    parts.append(extra)
    for x, trial in dots:
        assert trial.metric is not None
        kind = "best" if trial is best else "dot"
        tip = html.escape(f"trial {trial.number}: {trial.metric:.5g}")
        parts.append(
            f'<circle class="{kind}" cx="{x:.1f}" cy="{height(trial.metric):.1f}"'
            f' r="{5 if trial is best else 3.5}"><title>{tip}</title></circle>'
        )
    body = "\n".join(part for part in parts if part)
    label = html.escape(f"The metric over {title}")
    return (
        f'<figure><svg width="{_WIDTH}" height="{_HEIGHT}" role="img"'
        f' aria-label="{label}">\n{body}\n</svg></figure>'
    )


def _table(trials: Sequence[Trial], fields: Sequence[str]) -> str:
    head = "".join(
        f"<th>{html.escape(one)}</th>" for one in ("trial", "metric", "secs", *fields)
    )
    rows = []
    for trial in trials:
        values = [plain_value(trial.values[field]) for field in fields]
        cells = [str(trial.number), f"{trial.metric:.5f}", f"{trial.secs:.0f}", *values]
        rows.append("".join(f"<td>{html.escape(cell)}</td>" for cell in cells))
    body = "".join(f"<tr>{row}</tr>\n" for row in rows)
    return f"<table>\n<tr>{head}</tr>\n{body}</table>"


def _metric_bounds(trials: Sequence[Trial]) -> tuple[float, float]:
    metrics = [trial.metric for trial in trials if trial.metric is not None]
    return min(metrics), max(metrics)


def _metric_scale(trials: Sequence[Trial]) -> Callable[[float], float]:
    low, high = _metric_bounds(trials)
    return _scale(low, high, _HEIGHT - _BOTTOM - 6, _TOP + 6)


def _scale(
    low: float, high: float, start: float, stop: float
) -> Callable[[float], float]:
    """Returns the map from [low, high] to [start, stop]; a point goes to the middle."""
    if low == high:
        return lambda value: (start + stop) / 2
    return lambda value: start + (value - low) / (high - low) * (stop - start)
