# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Resumes from the newest checkpoint that is good."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist

from twhin.checkpoint import checksum_files, folders
from twhin.checkpoint.manifest import load_manifest
from twhin.checkpoint.reader import CheckpointReader
from twhin.checkpoint.training_state import Progress, TrainingState
from twhin.errors import CheckpointError
from twhin.graph.schema import GraphSchema

_logger = logging.getLogger(__name__)


def load_newest(
    folder: Path,
    state: TrainingState,
    *,
    schema: GraphSchema,
    group: dist.ProcessGroup | None,
    graph_digest: str | None = None,
) -> Progress | None:
    """Fills the tensors of this rank from the newest good checkpoint.

    A collective. The ranks divide the files among them to compare checksums. A
    damaged checkpoint is reported as an error in the log of rank 0, and the one
    before it is taken.

    Args:
      folder: OUTPUT_DIR/checkpoints, or OUTPUT_DIR.
      state: This rank's views.
      schema: The schema that they belong to.
      group: The ranks that train; gloo, or one that gathers objects. None for
        this process alone.
      graph_digest: The digest of the prepared graph that is trained now; None
        to compare the schema only.

    Returns:
      How far training was; None where there is no checkpoint.

    Raises:
      CheckpointError: All checkpoints are damaged, or the newest good one is of
        another graph or another model.
    """
    rank = 0 if group is None else group.rank()
    # What rank 0 sees: all ranks must choose alike.
    checkpoints: list[Path] = _gather(folders.list_checkpoints(folder), group)[0]
    faults = []
    for checkpoint in reversed(checkpoints):
        found = [fault for fault in _gather(_check(checkpoint, group), group) if fault]
        if not found:
            reader = CheckpointReader(checkpoint, verify=False)
            _check_graph(checkpoint, reader.graph_digest, graph_digest)
            progress = reader.load_into(state, schema=schema)
            if rank == 0:
                _logger.info("resumed checkpoint=%s step=%d", checkpoint, progress.step)
            return progress
        faults += found
        if rank == 0:
            _logger.error("damaged checkpoint, the one before is tried: %s", found[0])
    if faults:
        raise CheckpointError(
            f"{folder}: all {len(checkpoints)} checkpoints are damaged"
            f" ({'; '.join(faults)}); delete them to train from the start"
        )
    return None


def _check(checkpoint: Path, group: dist.ProcessGroup | None) -> str | None:
    """Checks this rank's share of the files; returns what is wrong."""
    rank, world_size = (0, 1) if group is None else (group.rank(), group.size())
    try:
        manifest = load_manifest(checkpoint)
        names: Sequence[str] = sorted(manifest.files)[rank::world_size]
        files = {name: manifest.files[name] for name in names}
        checksum_files.check_files(checkpoint, files)
    except CheckpointError as error:
        return str(error)
    return None


def _check_graph(checkpoint: Path, saved: str | None, now: str | None) -> None:
    if saved is not None and now is not None and saved != now:
        raise CheckpointError(
            f"{checkpoint}: was trained on the prepared graph {saved[:12]!r}, the one of"
            f" now is {now[:12]!r}: their rows are not the same entities;"
            " warm_start.checkpoint joins them by id"
        )


def _gather(value: Any, group: dist.ProcessGroup | None) -> list[Any]:
    if group is None:
        return [value]
    values = [None] * group.size()
    dist.all_gather_object(values, value, group=group)
    return values
