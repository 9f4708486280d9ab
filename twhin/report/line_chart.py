# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Curves over a common axis."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from twhin.page.markup import Markup, element
from twhin.page.numbers import format_short
from twhin.report.axis import Format, Scale, draw_axes, make_scale
from twhin.report.figure import HALF, LegendEntry, make_figure, make_picture, make_table

_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 10, 10, 42
# More points than this in one curve are not told apart.
_MAX_POINTS = 400
_MAX_DATA_ROWS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A curve.

    Attributes:
      name: Its name.
      points: (x, y), x ascending.
      ink: See `LegendEntry`.
      is_dashed: Whether it is a line to compare with.
    """

    name: str
    points: Sequence[tuple[float, float]]
    ink: str = "accent"
    is_dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartFrame:
    """How curves are shown.

    Attributes:
      title: What is seen.
      x_label: What x is, "step".
      width: In pixels.
      height: In pixels.
      y_format: Makes the names of y at the axis.
      tip_format: Makes those of single values.
      is_log: Whether both axes are logarithmic.
      from_zero: Whether y begins at 0.
      note: A line below.
    """

    title: str
    x_label: str
    width: int = HALF
    height: int = 220
    y_format: Format = format_short
    tip_format: Format = format_short
    is_log: bool = False
    from_zero: bool = True
    note: str | None = None


def make_line_chart(frame: ChartFrame, curves: Sequence[Curve]) -> Markup | None:
    """Returns the figure of some curves; None where they have no points."""
    curves = [_thin(curve) for curve in curves]
    curves = [curve for curve in curves if curve.points]
    if not curves:
        return None
    x, y = _make_scales(frame, curves)
    parts = draw_axes(
        x,
        y,
        x_label=frame.x_label,
        y_format=frame.y_format,
        num_x_ticks=6 if frame.width <= HALF else 10,
    )
    for curve in curves:
        parts += _draw_curve(curve, x, y)
    parts.append(
        element("line", class_="cursor", x1=x.start, x2=x.start, y1=_TOP, y2=y.start)
    )
    names = ", ".join(curve.name for curve in curves)
    xs = sorted({point[0] for curve in curves for point in curve.points})
    picture = make_picture(
        f"{frame.title} by {frame.x_label}: {names}",
        frame.width,
        frame.height,
        *parts,
        class_="reading-chart",
        tabindex="0",
        data_places=json.dumps([round(x(value), 1) for value in xs]),
        data_tips=json.dumps([_tip(frame, curves, value) for value in xs]),
    )
    return make_figure(
        frame.title,
        picture,
        legend=[_legend(curve) for curve in curves] if len(curves) > 1 else (),
        data=_make_data(frame, curves, xs),
        note=frame.note,
        is_half=frame.width <= HALF,
    )


def _thin(curve: Curve) -> Curve:
    """Leaves out points that are not finite, and the most where there are many."""
    points = [p for p in curve.points if math.isfinite(p[0]) and math.isfinite(p[1])]
    step = math.ceil(len(points) / _MAX_POINTS)
    if step > 1:
        points = [*points[::step], points[-1]]
    return Curve(
        name=curve.name, points=points, ink=curve.ink, is_dashed=curve.is_dashed
    )


def _make_scales(frame: ChartFrame, curves: Sequence[Curve]) -> tuple[Scale, Scale]:
    xs = [point[0] for curve in curves for point in curve.points]
    ys = [point[1] for curve in curves for point in curve.points]
    right, bottom = frame.width - _RIGHT, frame.height - _BOTTOM
    if frame.is_log:
        x = make_scale(xs, _LEFT, right, is_log=True)
    elif min(xs) == max(xs):
        x = make_scale(xs, _LEFT, right)
    else:
        x = Scale(low=min(xs), high=max(xs), start=_LEFT, stop=right)
    y = make_scale(
        ys,
        bottom,
        _TOP,
        is_log=frame.is_log,
        from_zero=frame.from_zero and not frame.is_log,
    )
    return x, y


def _draw_curve(curve: Curve, x: Scale, y: Scale) -> list[Markup]:
    places = [(x(a), y(b)) for a, b in curve.points]
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
    kind = "curve dashed" if curve.is_dashed else "curve"
    parts = [element("path", class_=f"{kind} is-{curve.ink}", d=path)]
    if len(places) <= 40 and not curve.is_dashed:
        parts += [
            element("circle", class_=f"point is-{curve.ink}", cx=a, cy=b, r=3.5)
            for a, b in places
        ]
    return parts


def _legend(curve: Curve) -> LegendEntry:
    return LegendEntry(
        name=curve.name, ink=curve.ink, mark="dashed" if curve.is_dashed else ""
    )


def _tip(frame: ChartFrame, curves: Sequence[Curve], value: float) -> str:
    lines = [f"{frame.x_label} {format_short(value)}"]
    for curve in curves:
        for a, b in curve.points:
            if a == value:
                lines.append(f"{curve.name}: {frame.tip_format(b)}")
    return "\n".join(lines)


def _make_data(
    frame: ChartFrame, curves: Sequence[Curve], xs: Sequence[float]
) -> Markup:
    step = math.ceil(len(xs) / _MAX_DATA_ROWS)
    found = [dict(curve.points) for curve in curves]
    return make_table(
        [frame.x_label, *(curve.name for curve in curves)],
        [
            [
                format_short(value),
                *(
                    frame.tip_format(each[value]) if value in each else ""
                    for each in found
                ),
            ]
            for value in xs[::step]
        ],
    )
