# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The vectors as files for TensorBoard's projector."""

import shutil
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from twhin.config.resolved_config import ResolvedConfig
from twhin.report.entity_sample import EntityNames, EntitySample, read_samples
from twhin.report.run_files import open_run

TENSORBOARD_FOLDER = "tensorboard"
_MAX_PROJECTED = 2_000


def write_projector(
    output_dir: Path, *, checkpoint: Path, config: ResolvedConfig | None = None
) -> None:
    """Writes the projector's files into OUTPUT_DIR/tensorboard.

    One process calls it. Of each entity type it takes an even sample, with ids and
    degrees. What an earlier call has written for the same step is replaced.

    Args:
      output_dir: The folder of the run.
      checkpoint: The checkpoint that has the vectors.
      config: See `open_run`.

    Raises:
      CheckpointError, DataError: A file of the run is missing or damaged.
    """
    run = open_run(output_dir, checkpoint, config)
    names = EntityNames(run.graph)
    folder = output_dir / TENSORBOARD_FOLDER
    # The writer would say on stdout that its folder is there.
    shutil.rmtree(folder / f"{run.reader.step:05d}", ignore_errors=True)
    with SummaryWriter(str(folder)) as writer:
        for sample in read_samples(run.reader, run.graph).values():
            _project(writer, sample, names, run.reader.step)


def _project(
    writer: SummaryWriter, sample: EntitySample, names: EntityNames, step: int
) -> None:
    size = min(len(sample.rows), _MAX_PROJECTED)
    places = np.linspace(0, len(sample.rows) - 1, size).round().astype(np.int64)
    rows = sample.rows[places]
    ids = names(sample.entity_type, rows)
    degrees = sample.degrees[rows].tolist()
    writer.add_embedding(
        sample.vectors[places],
        # The format has no way to write a tab or a line end.
        metadata=[
            [" ".join(entity_id.split()), str(degree)]
            for entity_id, degree in zip(ids, degrees, strict=True)
        ],
        metadata_header=["id", "degree"],
        global_step=step,
        tag=sample.entity_type,
    )
