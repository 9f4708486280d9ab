# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Axes of a picture: where a value lies, and which values are named."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twhin.page.markup import Markup, element
from twhin.page.numbers import format_short

Format = Callable[[float], str]
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps values to pixels.

    Attributes:
      low: The smallest value.
      high: The largest one, above `low`.
      start: The pixel of the smallest.
      stop: The pixel of the largest.
      is_log: Whether equal distances are equal ratios; values are above 0 then.
      step: The distance of ticks; None for one that suits their number.
    """

    low: float
    high: float
    start: float
    stop: float
    is_log: bool = False
    step: float | None = None

    def __call__(self, value: float) -> float:
        """Returns the pixel of a value."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.start + (value - low) / (high - low) * (self.stop - self.start)

    def ticks(self, number: int) -> list[float]:
        """Returns round values between the ends, about so many."""
        if self.is_log:
            return _log_ticks(self.low, self.high, number)
        step = self.step or _round_step((self.high - self.low) / number)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [count * step for count in range(first, last + 1)]


def make_scale(
    values: Sequence[float],
    start: float,
    stop: float,
    *,
    is_log: bool = False,
    from_zero: bool = False,
    num_ticks: int = 4,
) -> Scale:
    """Returns a scale over all values, its ends rounded where it is linear.

    Args:
      values: Finite values, any number of them.
      start: The pixel of the smallest.
      stop: The pixel of the largest.
      is_log: See `Scale`.
      from_zero: Whether 0 belongs to the scale; not with `is_log`.
      num_ticks: About how many ticks there are.
    """
    low = min(values, default=1.0 if is_log else 0.0)
    high = max(values, default=1.0)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high <= low:
        low, high = (low / 2, low * 2) if is_log else (low - 0.5, low + 0.5)
        low = max(low, 0.0) if from_zero else low
    if is_log:
        return Scale(low=low, high=high, start=start, stop=stop, is_log=True)
    step = _round_step((high - low) / num_ticks)
    return Scale(
        low=math.floor(low / step + 1e-9) * step,
        high=math.ceil(high / step - 1e-9) * step,
        start=start,
        stop=stop,
        step=step,
    )


def draw_axes(
    x: Scale,
    y: Scale,
    *,
    x_label: str,
    x_ticks: Sequence[tuple[float, str]] | None = None,
    y_format: Format = format_short,
    num_x_ticks: int = 6,
) -> list[Markup]:
    """Returns horizontal lines with their values, and the values below.

    Args:
      x: From left to right.
      y: From bottom to top.
      x_label: What x is; stands at the right end, below the values.
      x_ticks: Pixels and their names, instead of round values.
      y_format: Makes the names of y.
      num_x_ticks: About how many values of x are named.
    """
    parts = []
    for value in y.ticks(4):
        height = y(value)
        is_base = value == y.low
        parts.append(
            element(
                "line",
                class_="base" if is_base else "grid",
                x1=x.start,
                x2=x.stop,
                y1=height,
                y2=height,
            )
        )
        parts.append(
            element(
                "text",
                y_format(value),
                x=x.start - 8,
                y=height + 4,
                text_anchor="end",
            )
        )
    named = x_ticks or [(x(v), format_short(v)) for v in x.ticks(num_x_ticks)]
    for place, name in named:
        parts.append(
            element("text", name, x=place, y=y.start + 18, text_anchor="middle")
        )
    parts.append(element("text", x_label, x=x.stop, y=y.start + 35, text_anchor="end"))
    return parts


def _log_ticks(low: float, high: float, number: int) -> list[float]:
    """Returns powers of ten, with 2 and 5 between them where there is room."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    digits = (1, 2, 5) if (last - first) * 3 <= number * 2 else (1,)
    skip = max(1, math.ceil((last - first) / (number + 2)))
    return [
        digit * 10.0**power
        for power in range(first, last + 1, skip)
        for digit in digits
        if low * 0.999 <= digit * 10.0**power <= high * 1.001
    ]


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * digit for digit in _STEPS if power * digit >= step * 0.999)
