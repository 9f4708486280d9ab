# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What made the model: versions, configuration."""

import platform
from importlib import metadata

from twhin.page.markup import Content, Markup, element
from twhin.page.numbers import format_count
from twhin.report.figure import make_figure, make_table
from twhin.report.run_files import RunFiles
from twhin.report.section import Section

_DISTRIBUTIONS = ("torch", "torchrec", "fbgemm-gpu", "fbgemm-gpu-cpu", "numpy")


def make_run_section(run: RunFiles) -> Section:
    """Returns the section."""
    return Section(
        name="run",
        title="Run",
        about=(
            "With this configuration, this graph and these versions the same command"
            " gives the same model.",
        ),
        figures=(_facts(run), _config(run)),
    )


def _facts(run: RunFiles) -> Markup:
    reader = run.reader
    rows: list[list[Content]] = [
        ["Step", format_count(reader.step)],
        ["Ranks", format_count(reader.world_size)],
        ["Device", str(run.config.settings.runtime.device)],
        ["Configuration", _digest(reader.config_digest)],
        ["Graph", _digest(reader.graph_digest)],
        ["Python", platform.python_version()],
    ]
    rows.extend([name, version] for name, version in _versions().items())
    return make_figure("Versions", make_table(["", ""], rows), is_half=True)


def _digest(digest: str | None) -> Content:
    if digest is None:
        return "encoded elsewhere"
    return element("span", digest[:12], class_="id", title=digest)


def _versions() -> dict[str, str]:
    """Returns the versions of the libraries that are here."""
    found = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _config(run: RunFiles) -> Markup:
    return element(
        "details",
        element("summary", "The whole configuration, with every default"),
        element("pre", run.config.text, tabindex="0"),
        class_="block",
    )
