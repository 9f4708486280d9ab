# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Metrics as a file and as text."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

METRICS_FILE = "metrics.json"


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


def format_table(metrics: Mapping[str, float]) -> str:
    """Returns the overall metrics as a table, the baseline's beside them.

    Metrics of one side or one relation are left out.
    """
    overall = {name: value for name, value in metrics.items() if "=" not in name}
    names = [name for name in overall if "/popularity/" not in name]
    width = max((len(name) for name in names), default=0)
    lines = [f"{'metric':<{width}}  {'model':>10}  {'popularity':>10}"]
    for name in names:
        measure, slash, rest = name.partition("/")
        task, _, metric = rest.partition("/")
        baseline = overall.get(f"{measure}{slash}{task}/popularity/{metric}")
        cells = [overall[name], baseline]
        if baseline is None and metric.startswith("num_"):
            lines.append(f"{name:<{width}}  {overall[name]:>10.0f}")
        else:
            text = "  ".join(f"{_format(cell):>10}" for cell in cells)
            lines.append(f"{name:<{width}}  {text}")
    return "\n".join(lines)


def _format(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if value < 1000 else f"{value:.1f}"


def _read_same_model(path: Path, model: Mapping[str, object]) -> dict[str, float]:
    """Returns the content of the file if it is of the same model."""
    if not path.exists():
        return {}
    content: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    same = all(content.get(name) == value for name, value in model.items())
    return content if same else {}
