# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes OUTPUT_DIR/report.html: what a run came to, in one file."""

import os
from pathlib import Path
from statistics import median

from twhin.config.resolved_config import ResolvedConfig
from twhin.page.document import make_document
from twhin.page.markup import Content, Markup, element
from twhin.page.numbers import format_count, format_metric, format_short
from twhin.report.degree_buckets import bucket_by_degree, is_small_enough
from twhin.report.embeddings_section import make_embeddings_section
from twhin.report.entity_map import make_map
from twhin.report.entity_sample import EntityNames, read_samples
from twhin.report.graph_section import make_graph_section
from twhin.report.metric_names import best_split, main_metrics
from twhin.report.neighbors import find_neighbors
from twhin.report.quality_section import make_quality_section
from twhin.report.run_files import RunFiles, open_run
from twhin.report.run_section import make_run_section
from twhin.report.section import Section
from twhin.report.training_section import make_training_section

REPORT_FILE = "report.html"
_STYLE = Path(__file__).with_name("report.css")
_SCRIPT = Path(__file__).with_name("report.js")
_MAX_MAP_ENTITIES = 1000
_TOO_LARGE = (
    "Metrics by degree are left out: the graph or the model is too large for a report"
    " to rank its edges once more."
)


def write_report(
    output_dir: Path,
    *,
    checkpoint: Path,
    config: ResolvedConfig | None = None,
) -> Path:
    """Writes the report of a run, aside first and then renamed into place.

    One process calls it, on the CPU, when metrics.json is written; no process
    group is needed. What was not measured is left out.

    Args:
      output_dir: The folder of the run.
      checkpoint: The checkpoint that the metrics belong to.
      config: See `open_run`.

    Returns:
      OUTPUT_DIR/report.html.

    Raises:
      CheckpointError, ConfigError, DataError: A file of the run is missing or
        damaged.
    """
    run = open_run(output_dir, checkpoint, config)
    page = make_document(
        f"{output_dir.name} - TwHIN run report",
        _header(run, sections := _make_sections(run)),
        element(
            "main",
            _tiles(run),
            [section.render() for section in sections],
            id="content",
        ),
        element(
            "footer",
            f"{output_dir} \u00b7 {checkpoint.name} \u00b7 Written by TwHIN on torchrec.",
        ),
        style=_STYLE.read_text(encoding="ascii"),
        script=_SCRIPT.read_text(encoding="ascii"),
    )
    path = output_dir / REPORT_FILE
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(page, encoding="ascii")
    aside.replace(path)
    return path


def _make_sections(run: RunFiles) -> list[Section]:
    samples = read_samples(run.reader, run.graph)
    names = EntityNames(run.graph)
    split = best_split(run.metrics)
    is_bucketed = split is not None and is_small_enough(run)
    buckets = bucket_by_degree(run, samples, split) if split and is_bucketed else []
    missing = None if is_bucketed else _TOO_LARGE
    sections = [
        make_training_section(run),
        make_quality_section(run, buckets, missing),
        make_graph_section(run, samples),
    ]
    if samples:
        sections.append(
            make_embeddings_section(
                samples,
                make_map(samples, _MAX_MAP_ENTITIES),
                names,
                find_neighbors(run, samples, names),
            )
        )
    sections.append(make_run_section(run))
    return [section for section in sections if section is not None]


def _header(run: RunFiles, sections: list[Section]) -> Markup:
    links = [
        element("li", element("a", section.title, href=f"#{section.name}"))
        for section in sections
    ]
    return element(
        "header",
        element("p", "Run report", class_="over"),
        element("h1", run.output_dir.name),
        element("p", _summary(run), class_="lede"),
        element("nav", element("ul", links), aria_label="Sections"),
    )


def _summary(run: RunFiles) -> str:
    """Returns what was trained, in two sentences."""
    settings, schema = run.config.settings, run.graph.schema
    num_entities = sum(each.num_entities for each in schema.entity_types)
    operators = sorted({str(relation.operator) for relation in run.relations})
    return (
        f"{_several(num_entities, 'entity', 'entities')} of"
        f" {_several(len(schema.entity_types), 'type')}, joined by"
        f" {_several(len(schema.relations), 'relation')}, as vectors of"
        f" {run.reader.embedding_dim} numbers. Trained for"
        f" {_several(run.reader.progress.epoch, 'epoch')} in"
        f" {_several(run.reader.step, 'step')} with"
        f" the {settings.loss.kind} loss, {' and '.join(operators)} and"
        f" {settings.model.comparator}."
    ).replace("_", " ")


def _several(number: int, one: str, many: str | None = None) -> str:
    return f"{format_count(number)} {one if number == 1 else many or one + 's'}"


def _tiles(run: RunFiles) -> Markup | None:
    """Returns the few numbers that matter most."""
    split = best_split(run.metrics)
    tiles = []
    for metric in main_metrics(run.metrics)[:3] if split else []:
        model, popularity = metric.of(run.metrics, str(split))
        if model is not None:
            title = f"{metric.title}, {split}"
            tiles.append(_tile(title, format_metric(model), _beside(model, popularity)))
    speeds = [e["edges_per_sec"] for e in run.history if "edges_per_sec" in e]
    if speeds:
        ranks = _several(run.reader.world_size, "rank")
        tiles.append(
            _tile("Edges per second", format_short(median(speeds)), f"median, {ranks}")
        )
    if not tiles:
        return None
    return element(
        "section",
        element("dl", tiles, class_="tiles"),
        aria_label="At a glance",
        style="padding-bottom:3.5rem",
    )


def _beside(model: float, popularity: float | None) -> Content:
    if popularity is None:
        return ""
    text = f"popularity {format_metric(popularity)}"
    if popularity <= 0:
        return text
    return [element("b", f"{model / popularity:.1f}\u00d7"), f" {text}"]


def _tile(title: str, value: str, beside: Content) -> Markup:
    return element(
        "div",
        element("dt", title),
        element("dd", value, class_="value"),
        element("dd", beside, class_="beside"),
    )
