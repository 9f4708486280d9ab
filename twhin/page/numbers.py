# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Numbers as people read them."""

import math

_THIN_MINUS = "\u2212"


def format_count(value: float) -> str:
    """Returns a whole number with its thousands apart: 180,028."""
    return f"{value:,.0f}"


def format_short(value: float) -> str:
    """Returns a number in a few characters, for the ticks of an axis: 2.5k."""
    if not math.isfinite(value):
        return "-"
    size = abs(value)
    for limit, suffix in (1e9, "G"), (1e6, "M"), (1e3, "k"):
        if size >= limit:
            return f"{value / limit:.3g}{suffix}"
    return f"{value:.3g}".replace("-", _THIN_MINUS)


def format_metric(value: float | None) -> str:
    """Returns a metric: four digits behind the point below 10, fewer above."""
    if value is None:
        return "-"
    if abs(value) < 10:
        return f"{value:.4f}"
    return f"{value:,.1f}"
