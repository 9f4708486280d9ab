# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""How training went: loss, held-out metrics and speed over the steps."""

from collections.abc import Sequence

from twhin.page.markup import Markup
from twhin.page.numbers import format_metric, format_short
from twhin.report.figure import WIDE
from twhin.report.line_chart import ChartFrame, Curve, make_line_chart
from twhin.report.metric_names import main_metrics
from twhin.report.run_files import RunFiles
from twhin.report.section import Section

_VALID = "valid"


def make_training_section(run: RunFiles) -> Section | None:
    """Returns the section; None where no history was written."""
    history = run.history
    figures = [
        _loss(history),
        *_metrics(history),
        _speed(history),
        _wait(history),
        _rate(history),
    ]
    shown = tuple(figure for figure in figures if figure is not None)
    if not shown:
        return None
    interval = run.config.settings.training.log_interval_steps
    return Section(
        name="training",
        title="Training",
        about=(
            f"The loss is a mean over the edges of {interval} steps. Held-out metrics"
            " are those of the validation split, after an epoch.",
            "The dashed line is what the order by popularity alone would reach. Where"
            " a metric falls while the loss still does, the model has begun to learn"
            " its training edges by heart.",
        ),
        figures=shown,
    )


def _points(
    history: Sequence[dict[str, float]], name: str
) -> list[tuple[float, float]]:
    return [(entry["step"], entry[name]) for entry in history if name in entry]


def _loss(history: Sequence[dict[str, float]]) -> Markup | None:
    return make_line_chart(
        ChartFrame(
            title="Loss per edge",
            x_label="step",
            width=WIDE,
            height=240,
            from_zero=False,
        ),
        [Curve(name="loss", points=_points(history, "loss"))],
    )


def _metrics(history: Sequence[dict[str, float]]) -> list[Markup | None]:
    measured = next((entry for entry in history if "loss" not in entry), {})
    return [
        make_line_chart(
            ChartFrame(
                title=f"{metric.title}, validation",
                x_label="step",
                tip_format=format_metric,
            ),
            [
                Curve(name="model", points=_points(history, f"{_VALID}/{metric.name}")),
                Curve(
                    name="popularity",
                    points=_points(history, f"{_VALID}/{metric.popularity}"),
                    ink="other",
                    is_dashed=True,
                ),
            ],
        )
        for metric in main_metrics(measured)
    ]


def _speed(history: Sequence[dict[str, float]]) -> Markup | None:
    return make_line_chart(
        ChartFrame(title="Edges per second", x_label="step", height=180),
        [Curve(name="edges per second", points=_points(history, "edges_per_sec"))],
    )


def _wait(history: Sequence[dict[str, float]]) -> Markup | None:
    points = [(x, 100 * y) for x, y in _points(history, "wait_share")]
    return make_line_chart(
        ChartFrame(
            title="Time spent waiting for data",
            x_label="step",
            height=180,
            y_format=_percent,
            tip_format=_percent,
        ),
        [Curve(name="share", points=points)],
    )


def _rate(history: Sequence[dict[str, float]]) -> Markup | None:
    """Shows the schedule, where there is one."""
    points = _points(history, "learning_rate_factor")
    if len({factor for _, factor in points}) < 2:
        return None
    return make_line_chart(
        ChartFrame(
            title="Factor on the learning rates", x_label="step", width=WIDE, height=180
        ),
        [Curve(name="factor", points=points)],
    )


def _percent(value: float) -> str:
    return f"{format_short(value)}%"
