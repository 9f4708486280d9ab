# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Opens the edges that a configuration names, preparing them where needed."""

import os
from pathlib import Path

from twhin.config import paths
from twhin.config.settings import Data, TrainConfig
from twhin.errors import DataError
from twhin.graph import demo_graph
from twhin.graph.configured_schema import check_schema
from twhin.graph.prepare import preparation
from twhin.graph.prepare.engine import Progress, silent
from twhin.graph.prepare.memory_limit import default_memory_limit
from twhin.graph.prepared_graph import PreparedGraph

PREPARED_FOLDER = "prepared"
"""Raw and generated edges are prepared into this folder of a run's output."""


def open_graph(
    settings: TrainConfig, output_dir: Path, *, progress: Progress = silent
) -> PreparedGraph:
    """Opens the edges of a run; raw and generated ones are prepared first.

    A preparation that is there and current is not made again. Of the ranks of a job
    one calls this, and the others `open_prepared` when it has returned.

    Args:
      settings: The configuration.
      output_dir: The folder of the run; raw and generated edges are prepared into
        its folder `prepared`.
      progress: Told about the steps of a preparation.

    Raises:
      DataError: The edges cannot be used, or do not agree with `settings.graph`.
    """
    num_threads = settings.runtime.num_threads or os.cpu_count() or 1
    if settings.data.demo is not None:
        demo_graph.prepare_demo(
            settings,
            output_dir,
            memory_limit_bytes=default_memory_limit(),
            num_threads=num_threads,
            progress=progress,
        )
    elif settings.data.raw is not None:
        preparation.prepare(
            settings,
            str(output_dir / PREPARED_FOLDER),
            memory_limit_bytes=default_memory_limit(),
            num_threads=num_threads,
            progress=progress,
        )
    return open_prepared(settings, output_dir)


def open_prepared(settings: TrainConfig, output_dir: Path) -> PreparedGraph:
    """Opens the edges of a run that `open_graph` has opened before.

    Args:
      settings: The configuration.
      output_dir: The folder of the run.

    Raises:
      DataError: As `open_graph`; also if the edges have not been prepared.
    """
    if settings.data.encoded is not None:
        graph = PreparedGraph.from_encoded(settings)
    else:
        graph = PreparedGraph.open(_folder(settings.data, output_dir))
    check_schema(settings.graph, graph)
    return graph


def _folder(data: Data, output_dir: Path) -> str:
    if data.prepared is None:
        return str(output_dir / PREPARED_FOLDER)
    folder = paths.join(data.root, data.prepared)
    if "://" in folder:
        raise DataError(
            f"data.prepared: {folder!r} is a URL; allowed: a local folder, or the URLs"
            " of its edge files as data.encoded"
        )
    return folder
