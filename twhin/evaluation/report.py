# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Metrics as a file and as text."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

METRICS_FILE = "metrics.json"

# Rankings of the same edges that are not by the model's single vectors.
_OTHERS = ("popularity", "mixture")


def write_metrics(
    path: Path, metrics: Mapping[str, float], *, config_digest: str, step: int
) -> None:
    """Writes one flat JSON object, aside first and then renamed into place.

    Splits that are in the file already and not in `metrics` stay, where they are
    of the same configuration and step.

    Args:
      path: The file.
      metrics: By flat name, "test/link_prediction/filtered/mrr".
      config_digest: The SHA-256 of the resolved configuration; "config_digest".
      step: The training step of the model; "step".
    """
    model = {"config_digest": config_digest, "step": step}
    splits = {name.partition("/")[0] for name in metrics}
    kept = {
        name: value
        for name, value in _read_same_model(path, model).items()
        if name not in model and name.partition("/")[0] not in splits
    }
    content = model | dict(sorted((kept | dict(metrics)).items()))
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)


def format_table(
    metrics: Mapping[str, float], uncompressed: Mapping[str, float] | None = None
) -> str:
    """Returns the overall metrics as a table, other rankings beside the model's.

    Metrics of one side or one relation are left out.

    Args:
      metrics: By flat name.
      uncompressed: Metrics by the same names, to compare with; `change` is relative
        to them.
    """
    overall = {name: value for name, value in metrics.items() if "=" not in name}
    before = {} if uncompressed is None else uncompressed
    heads = ["model", *_OTHERS, "uncompressed", "change"]
    rows = {
        name: [
            _format(name, value),
            *(_format(name, overall.get(_beside(name, other))) for other in _OTHERS),
            _format(name, before.get(name)),
            _format_change(value, before.get(name)),
        ]
        for name, value in overall.items()
        if not any(f"/{other}/" in name for other in _OTHERS)
    }
    columns = [
        [head, *cells]
        for head, *cells in zip(heads, *rows.values(), strict=True)
        if any(cells)
    ]
    table = zip(*(_justify(each) for each in columns), strict=True)
    names = ["metric", *rows]
    width = max(map(len, names))
    return "\n".join(
        "  ".join([name.ljust(width), *cells]).rstrip()
        for name, cells in zip(names, table, strict=True)
    )


def _beside(name: str, other: str) -> str:
    """Returns the name of a metric for another ranking of the same edges."""
    *head, metric = name.split("/", 2)
    return "/".join([*head, other, metric])


def _justify(cells: Sequence[str]) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) for cell in cells]


def _format(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if "/num_" in name:
        return f"{value:.0f}"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.1f}"


def _format_change(value: float, before: float | None) -> str:
    return f"{value / before - 1:+.2%}" if before else ""


def _read_same_model(path: Path, model: Mapping[str, object]) -> dict[str, float]:
    """Returns the content of the file if it is of the same model."""
    try:
        content: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    same = all(content.get(name) == value for name, value in model.items())
    return content if same else {}
