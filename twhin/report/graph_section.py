# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What was trained on: counts, and how edges spread over entities."""

from collections.abc import Mapping

import numpy as np

from twhin.evaluation.edges import Integers
from twhin.graph.manifest import SPLITS
from twhin.page.markup import Markup
from twhin.page.numbers import format_count, format_short
from twhin.report.entity_sample import EntitySample
from twhin.report.figure import WIDE, make_figure, make_table
from twhin.report.line_chart import ChartFrame, Curve, make_line_chart
from twhin.report.run_files import RunFiles
from twhin.report.section import Section

_MAX_POINTS = 120
_MAX_TYPES = 8
_QUANTILES = (0.1, 0.5, 0.9, 0.99)


def make_graph_section(run: RunFiles, samples: Mapping[str, EntitySample]) -> Section:
    """Returns the section."""
    return Section(
        name="graph",
        title="Graph",
        about=(
            "Degree is the number of training edges that an entity has, over all"
            " relations. A point of the curves says which share of the entities of a"
            " type have at least that many.",
        ),
        figures=(
            _edges(run),
            _entities(samples),
            _degrees(samples),
        ),
    )


def _edges(run: RunFiles) -> Markup | None:
    manifest = run.graph.manifest
    if manifest is None:
        return None
    rows = [
        [
            relation.name,
            f"{relation.lhs} \u2192 {relation.rhs}",
            *(
                format_count(manifest.splits[split].edges_by_relation[relation.name])
                for split in SPLITS
            ),
        ]
        for relation in run.graph.schema.relations
    ]
    totals = [format_count(manifest.splits[split].num_edges) for split in SPLITS]
    if len(rows) > 1:
        rows.append(["all", "", *totals])
    table = make_table(["relation", "joins", *SPLITS], rows, num_text=2)
    return make_figure("Edges", table)


def _entities(samples: Mapping[str, EntitySample]) -> Markup | None:
    if not samples:
        return None
    rows = []
    for sample in samples.values():
        quantiles = np.quantile(sample.degrees, _QUANTILES).tolist()
        rows.append(
            [
                sample.entity_type,
                format_count(sample.num_entities),
                *(format_count(value) for value in quantiles),
                format_count(int(sample.degrees.max())),
            ]
        )
    heads = [f"{quantile:.0%}" for quantile in _QUANTILES]
    table = make_table(["entity type", "entities", *heads, "largest degree"], rows)
    return make_figure(
        "Entities",
        table,
        note="The columns in between: degrees that so many of the entities do not"
        " exceed.",
    )


def _degrees(samples: Mapping[str, EntitySample]) -> Markup | None:
    shown = list(samples.values())[:_MAX_TYPES]
    return make_line_chart(
        ChartFrame(
            title="Share of entities with at least so many edges",
            x_label="degree",
            width=WIDE,
            height=280,
            is_log=True,
            y_format=_percent,
            tip_format=_percent,
        ),
        [
            Curve(
                name=sample.entity_type,
                points=_share_above(sample.degrees),
                ink=str(number),
            )
            for number, sample in enumerate(shown)
        ],
    )


def _share_above(degrees: Integers) -> list[tuple[float, float]]:
    """Returns the share of entities for some degrees from 1 on, at even ratios."""
    largest = int(degrees.max())
    if largest < 1:
        return []
    wanted = np.unique(np.geomspace(1, largest, _MAX_POINTS).round().astype(np.int64))
    ascending = np.sort(degrees)
    shares = 1 - np.searchsorted(ascending, wanted, side="left") / len(degrees)
    return list(zip(wanted.tolist(), shares.tolist(), strict=True))


def _percent(share: float) -> str:
    return f"{format_short(100 * share)}%"
