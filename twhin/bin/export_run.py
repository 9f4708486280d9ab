# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Exports one checkpoint of a run: joins checkpoint, graph and bundle."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch.distributed as dist

from twhin.bin.saved_run import SavedRun
from twhin.checkpoint.reader import CheckpointReader
from twhin.config.settings import Device
from twhin.evaluation.report import METRICS_FILE
from twhin.export.export_bundle import export_bundle
from twhin.export.other_forms import OtherForm
from twhin.training.job import Job, join_job

_DEFAULT_ROOT = "bundle"


def bundle_root(run: SavedRun) -> Path:
    """Returns the root that the configuration of a run names."""
    return run.output_dir / (run.config.settings.export.bundle_root or _DEFAULT_ROOT)


def export(
    run: SavedRun,
    root: Path,
    forms: Sequence[str],
    unseen_edges: Mapping[str, Path] | None = None,
) -> str | None:
    """Exports on the ranks that a launcher started, or alone; by the CPU only.

    Args:
      run: The checkpoint.
      root: The folder of bundle versions.
      forms: Other forms to write, see `OtherForm`.
      unseen_edges: See `export_bundle`.

    Returns:
      The name of the version; None on other ranks than the first.

    Raises:
      BundleError: The root cannot be written, or another export is writing.
      CheckpointError: The checkpoint is damaged.
      DataError: The graph is not the run's.
    """
    runtime = dataclasses.replace(run.config.settings.runtime, device=Device.CPU)
    with join_job(runtime) as job:
        return export_in_job(run, root, forms, job, unseen_edges)


def export_in_job(
    run: SavedRun,
    root: Path,
    forms: Sequence[str],
    job: Job,
    unseen_edges: Mapping[str, Path] | None = None,
) -> str | None:
    """Exports on the ranks of a job; see `export`. A collective."""
    reader = CheckpointReader(run.checkpoint, verify=job.is_first)
    group = job.new_cpu_group()

    def barrier() -> None:
        if group is not None:
            dist.barrier(group)

    return export_bundle(
        reader,
        run.open_graph(reader),
        run.config.settings,
        root,
        metrics=_read_metrics(run, reader.step),
        forms=[OtherForm(form) for form in forms],
        unseen_edges=unseen_edges,
        rank=job.rank,
        world_size=job.world_size,
        barrier=barrier,
    )


def _read_metrics(run: SavedRun, step: int) -> dict[str, float]:
    """Returns the metrics that the run's folder has of this very checkpoint."""
    try:
        content = json.loads((run.output_dir / METRICS_FILE).read_text())
    except FileNotFoundError:
        return {}
    if content.pop("step", None) != step:
        return {}
    return {
        name: float(value)
        for name, value in content.items()
        if isinstance(value, int | float)
    }
