# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Bars: a few values side by side for each of some groups, or a histogram."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twhin.page.markup import Markup, element
from twhin.page.numbers import format_count, format_short
from twhin.report.axis import Format, Scale, draw_axes, make_scale
from twhin.report.figure import HALF, LegendEntry, make_figure, make_picture, make_table

_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 10, 10, 42
# Single-precision numbers of one value, as norms of normed rows are.
_ROUNDING = 1e-5
_NUM_BINS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class BarGroup:
    """Bars that stand side by side.

    Attributes:
      name: What stands below them.
      values: One for each entry of the legend.
      note: What the tip says besides, "612 edges".
    """

    name: str
    values: Sequence[float]
    note: str


def make_bar_chart(
    title: str,
    groups: Sequence[BarGroup],
    *,
    legend: Sequence[LegendEntry],
    x_label: str,
    tip_format: Format = format_short,
    y_max: float | None = None,
    shows_legend: bool = True,
) -> Markup:
    """Returns the figure of groups of bars, half as wide as the page.

    Args:
      title: What is seen.
      groups: From left to right.
      legend: What the bars of a group are.
      x_label: What tells the groups apart.
      tip_format: Makes the names of single values.
      y_max: The height of the picture; None for that of the largest value.
      shows_legend: Whether the figure has a legend of its own.
    """
    width, height = HALF, 200
    bottom = height - _BOTTOM
    values = [value for group in groups for value in group.values]
    if y_max is not None:
        values.append(y_max)
    y = make_scale(values, bottom, _TOP, from_zero=True)
    x = Scale(low=0, high=len(groups), start=_LEFT, stop=width - _RIGHT)
    ticks = [(x(place + 0.5), group.name) for place, group in enumerate(groups)]
    parts = draw_axes(x, y, x_label=x_label, x_ticks=ticks)
    bar_width = min(18.0, 0.72 * (x(1) - x(0)) / len(legend))
    for place, group in enumerate(groups):
        left = x(place + 0.5) - bar_width * len(legend) / 2
        for number, (value, entry) in enumerate(zip(group.values, legend, strict=True)):
            parts.append(
                element(
                    "rect",
                    class_=f"bar is-{entry.ink}",
                    x=left + number * bar_width,
                    width=bar_width - 1.5,
                    y=y(value),
                    height=max(bottom - y(value), 0.75),
                    data_tip=f"{group.name}: {entry.name} {tip_format(value)}\n{group.note}",
                )
            )
    data = make_table(
        [x_label, *(entry.name for entry in legend), ""],
        [[g.name, *map(tip_format, g.values), g.note] for g in groups],
    )
    return make_figure(
        title,
        make_picture(title, width, height, *parts),
        legend=legend if shows_legend else (),
        data=data,
        is_half=True,
    )


def make_histogram(
    title: str, values: npt.NDArray[np.float32], *, x_label: str, note: str
) -> Markup:
    """Returns the figure of a distribution, half as wide as the page.

    Args:
      title: What is seen.
      values: [n] float32; n is at least 1.
      x_label: What the values are.
      note: A line below.
    """
    width, height = HALF, 170
    bottom = height - _BOTTOM
    low, high = float(values.min()), float(values.max())
    if high - low <= _ROUNDING * abs(high):
        high = low
    x = make_scale([low, high], _LEFT, width - _RIGHT, from_zero=low < high / 3)
    counts, bounds = np.histogram(values, bins=_NUM_BINS, range=(x.low, x.high))
    y = make_scale([float(counts.max())], bottom, _TOP, from_zero=True)
    parts = draw_axes(x, y, x_label=x_label)
    for count, start, stop in zip(
        counts.tolist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True
    ):
        if count:
            parts.append(
                element(
                    "rect",
                    class_="bar is-accent",
                    x=x(start) + 0.5,
                    width=x(stop) - x(start) - 1,
                    y=y(count),
                    height=bottom - y(count),
                    data_tip=f"{format_short(start)} to {format_short(stop)}\n"
                    f"{format_count(count)} entities",
                )
            )
    label = f"{title}: histogram of {len(values)} values"
    return make_figure(
        title, make_picture(label, width, height, *parts), note=note, is_half=True
    )
