# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""How good the embeddings are: by relation, by degree, beside popularity."""

from collections.abc import Sequence

from twhin.page.markup import Content, Markup, element
from twhin.page.numbers import format_count, format_metric
from twhin.report.bar_chart import BarGroup, make_bar_chart
from twhin.report.degree_buckets import HITS_AT, Bucket, RelationBuckets
from twhin.report.figure import LegendEntry, make_legend, make_table
from twhin.report.metric_names import Metric, best_split, main_metrics
from twhin.report.run_files import RunFiles
from twhin.report.section import Section

_LEGEND = (
    LegendEntry(name="model", ink="accent", mark="dot"),
    LegendEntry(name="popularity", ink="other", mark="dot"),
)
_MAX_RELATIONS = 60


def make_quality_section(
    run: RunFiles, buckets: Sequence[RelationBuckets], missing: str | None
) -> Section | None:
    """Returns the section; None where nothing was measured.

    Args:
      run: The run.
      buckets: By relation.
      missing: Why there are none, or None.
    """
    split = best_split(run.metrics)
    if split is None:
        return None
    heads = {"test": "Test edges", "valid": "Validation edges"}
    charts = [chart for each in buckets for chart in _bucket_charts(each)]
    return Section(
        name="quality",
        title="Quality",
        about=(
            "Link prediction hides one end of a held-out edge and ranks every entity"
            " of its type; edges that are known to be true are left out of the list."
            " Retrieval ranks all entities for each list of held-out edges.",
            "Popularity ranks the same candidates by their number of training edges."
            " What a model adds is the distance to it, above all for entities with"
            " few edges.",
        ),
        figures=(
            _relation_table(run, split, heads[split]),
            _bucket_intro() if charts else None,
            *charts,
            None if missing is None else element("p", missing, class_="note"),
            _all_metrics(run),
        ),
    )


def _relation_table(run: RunFiles, split: str, head: str) -> Markup:
    """Returns the main measures, over all and by relation."""
    metrics = main_metrics(run.metrics)
    names = [relation.name for relation in run.graph.schema.relations]
    names = [n for n in names if _is_measured(run, split, metrics, n)]
    suffixes = {"All relations": "", **{n: f"/relation={n}" for n in names}}
    largest = {
        metric.name: max(
            value
            for suffix in suffixes.values()
            for value in (*metric.of(run.metrics, split, suffix), 0.0)
            if value is not None
        )
        for metric in metrics
    }
    rows: list[list[Content]] = []
    for name, suffix in list(suffixes.items())[: _MAX_RELATIONS + 1]:
        row: list[Content] = [name]
        for metric in metrics:
            model, popularity = metric.of(run.metrics, split, suffix)
            row.append(_cell(model, popularity, largest[metric.name]))
        rows.append(row)
    more = len(suffixes) - len(rows)
    table = make_table(["", *(metric.title for metric in metrics)], rows)
    return element(
        "figure",
        element("figcaption", element("h3", head), make_legend(_LEGEND)),
        table,
        None
        if more <= 0
        else element("p", f"{more} more relations: see all metrics.", class_="note"),
    )


def _is_measured(
    run: RunFiles, split: str, metrics: Sequence[Metric], name: str
) -> bool:
    return any(
        metric.of(run.metrics, split, f"/relation={name}")[0] is not None
        for metric in metrics
    )


def _cell(model: float | None, popularity: float | None, largest: float) -> Content:
    """Returns two lines, each with a meter and its value."""
    if model is None:
        return element("span", "-", class_="soft")
    lines = [_line(model, largest, "accent")]
    if popularity is not None:
        lines.append(_line(popularity, largest, "other"))
    return lines


def _line(value: float, largest: float, ink: str) -> Markup:
    share = 100 * value / largest if largest > 0 else 0.0
    meter = element(
        "span",
        element("i", class_=f"is-{ink}", style=f"width:{share:.0f}%"),
        class_="meter",
        aria_hidden="true",
    )
    text = element(
        "span", format_metric(value), class_=None if ink == "accent" else "soft"
    )
    return element("div", meter, text)


def _bucket_intro() -> Markup:
    return element(
        "div",
        element("h3", f"Hits@{HITS_AT} by number of training edges"),
        make_legend(_LEGEND),
        class_="over-figures",
    )


def _bucket_charts(buckets: RelationBuckets) -> list[Markup]:
    """Returns two figures, by the degree of either end."""
    top = max(
        max(bucket.hits, bucket.popularity_hits)
        for bucket in (*buckets.lhs, *buckets.rhs)
    )
    return [
        make_bar_chart(
            f"{buckets.relation}: {title}",
            [_group(bucket) for bucket in side],
            legend=_LEGEND,
            x_label=label,
            y_max=top,
            tip_format=format_metric,
            shows_legend=False,
        )
        for title, label, side in (
            ("who is found", "training edges of the rhs", buckets.rhs),
            ("who asks", "training edges of the lhs", buckets.lhs),
        )
    ]


def _group(bucket: Bucket) -> BarGroup:
    is_one = bucket.low == bucket.high
    return BarGroup(
        name=str(bucket.low) if is_one else f"{bucket.low}\u2013{bucket.high}",
        values=(bucket.hits, bucket.popularity_hits),
        note=f"{format_count(bucket.num_edges)} held-out edges",
    )


def _all_metrics(run: RunFiles) -> Markup:
    rows = [[name, format_metric(value)] for name, value in sorted(run.metrics.items())]
    return element(
        "details",
        element("summary", f"All {len(rows)} metrics"),
        make_table(["name", "value"], rows),
        class_="block",
    )
