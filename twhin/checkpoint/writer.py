# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Saves the state of a training, in the background and completely or not at all."""

import datetime
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch.distributed.checkpoint import state_dict_saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemWriter

from twhin.checkpoint import checksum_files, folders, publishing, staging
from twhin.checkpoint.checksum_files import ChecksumFileSystem
from twhin.checkpoint.manifest import (
    CONFIG_FILE,
    MANIFEST_FILE,
    CheckpointManifest,
    FileEntry,
)
from twhin.checkpoint.save_planner import StateSavePlanner
from twhin.checkpoint.training_state import Progress, TrainingState
from twhin.errors import CheckpointError
from twhin.graph.schema import GraphSchema

DEFAULT_MAX_STAGING_BYTES = 4 << 30

_logger = logging.getLogger(__name__)


class CheckpointWriter:
    """Writes checkpoints of one run: all ranks together, one after the other.

    A save copies this rank's part of the tables and of their optimizers' states,
    and a thread writes the copy: until it has, a save takes as much memory as
    that part. A part above `max_staging_bytes` is not copied: it is written
    before the call returns, with 16 MiB for each tensor.
    """

    def __init__(
        self,
        folder: Path,
        *,
        schema: GraphSchema,
        embedding_dim: int,
        config_text: str,
        config_digest: str,
        keep_last: int,
        group: dist.ProcessGroup | None,
        graph_digest: str | None = None,
        prepared: str | None = None,
        max_staging_bytes: int = DEFAULT_MAX_STAGING_BYTES,
        timeout: datetime.timedelta | None = None,
    ) -> None:
        """Starts with a clean folder: deletes what a killed writer left. A collective.

        Args:
          folder: OUTPUT_DIR/checkpoints; on a file system that all ranks share.
          schema: Names and sizes of the entity types.
          embedding_dim: D.
          config_text: The resolved configuration, YAML.
          config_digest: Its SHA-256.
          keep_last: The number of newest checkpoints that are kept, at least 1.
          group: The ranks that train; None for this process alone.
          graph_digest: The digest of the prepared graph, which a load compares.
          prepared: The folder of the prepared graph, for who needs its ids.
          max_staging_bytes: The largest part of a rank that is copied.
          timeout: How long ranks wait for each other; None for torch's default.

        Raises:
          CheckpointError: The folder cannot be used.
        """
        self._folder = folder
        self._schema = schema
        self._embedding_dim = embedding_dim
        self._config_text = config_text
        self._config_digest = config_digest
        self._keep_last = keep_last
        self._graph_digest = graph_digest
        self._prepared = prepared
        self._max_staging_bytes = max_staging_bytes
        # Of its own: the thread's collectives must not meet those of training.
        self._group = _new_gloo_group(group, timeout)
        self._rank = 0 if self._group is None else self._group.rank()
        self._world_size = 1 if self._group is None else self._group.size()
        self._thread: threading.Thread | None = None
        self._error: CheckpointError | None = None
        self._on_first_rank(partial(publishing.clean, folder), str(folder))

    def save(
        self,
        state: TrainingState,
        progress: Progress,
        *,
        is_best: bool = False,
        wait: bool = False,
    ) -> None:
        """Saves a state. A collective.

        The state may change as soon as the call returns.

        Args:
          state: This rank's tensors.
          progress: How far training is; its step names the checkpoint.
          is_best: Whether this is the best state so far.
          wait: Whether to return only when the checkpoint is complete; nothing
            is copied then.

        Raises:
          CheckpointError: The save before this one failed, or this one, where it
            is waited for. The checkpoints before it are still good.
        """
        self._join()
        size = staging.num_table_bytes(state)
        is_inline = wait or size > self._max_staging_bytes
        start = time.monotonic()
        copied = staging.copy_state(state, with_tables=not is_inline)
        _logger.debug(
            "checkpoint_step=%d staged_mib=%.1f staging_secs=%.3f",
            progress.step,
            0 if is_inline else size / 2**20,
            time.monotonic() - start,
        )
        write = partial(self._write, copied, progress, is_best)
        if is_inline:
            write()
            self._raise_error()
        else:
            self._thread = threading.Thread(target=write, name="checkpoint")
            self._thread.start()

    def close(self) -> None:
        """Waits for the last save. A collective.

        Raises:
          CheckpointError: It failed. The checkpoints before it are still good.
        """
        self._join()
        if self._group is not None:
            dist.destroy_process_group(self._group)
            self._group = None

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._raise_error()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _write(self, state: TrainingState, progress: Progress, is_best: bool) -> None:
        """Writes a checkpoint; leaves an error in `_error`."""
        target = self._folder / folders.folder_name(progress.step)
        start = time.monotonic()
        try:
            self._write_target(target, state, progress, is_best)
        except CheckpointError as error:
            self._error = error
        # A lost rank ends a collective with RuntimeError; whatever it is, the
        # training thread must hear of it.
        except Exception as error:
            self._error = CheckpointError(
                f"{target}: cannot be written ({error}); the checkpoints before it are"
                " still good"
            )
            self._error.__cause__ = error
        if self._error is None:
            _logger.info(
                "checkpoint=%s write_secs=%.2f", target, time.monotonic() - start
            )
        elif self._rank == 0:
            publishing.remove_aside(target)

    def _write_target(
        self, target: Path, state: TrainingState, progress: Progress, is_best: bool
    ) -> None:
        self._on_first_rank(partial(publishing.make_aside, target), str(target))
        files = self._write_state(target, state)
        self._on_first_rank(
            partial(self._complete, target, progress, is_best, files), str(target)
        )

    def _write_state(self, target: Path, state: TrainingState) -> dict[str, FileEntry]:
        """Writes the tensors of all ranks; returns the files of all ranks."""
        aside = publishing.aside_of(target)
        file_system = ChecksumFileSystem()
        storage = FileSystemWriter(aside, overwrite=False)
        storage.fs = file_system
        planner = StateSavePlanner(state, self._schema, self._embedding_dim)
        try:
            with warnings.catch_warnings():
                # One process without a group is what is meant.
                warnings.filterwarnings(
                    "ignore", message="torch.distributed is disabled"
                )
                state_dict_saver.save(
                    {},
                    storage_writer=storage,
                    planner=planner,
                    process_group=self._group,
                    no_dist=self._group is None,
                )
        except CheckpointException as error:
            reasons = [
                f"rank {rank}: {failure[0]}" for rank, failure in error.failures.items()
            ]
            raise CheckpointError(
                f"{target}: cannot be written ({'; '.join(reasons)}); the checkpoints"
                " before it are still good"
            ) from error
        files: dict[str, FileEntry] = {}
        for entries in self._gather(file_system.entries):
            files |= entries
        return files

    def _complete(
        self,
        target: Path,
        progress: Progress,
        is_best: bool,
        files: dict[str, FileEntry],
    ) -> None:
        """Adds what the first rank alone writes, and gives the folder its name."""
        aside = publishing.aside_of(target)
        # Files of a rank that has another file system are not here.
        checksum_files.check_sizes(aside, files)
        file_system = ChecksumFileSystem()
        _write_text(file_system, aside / CONFIG_FILE, self._config_text)
        manifest = CheckpointManifest(
            progress=progress,
            world_size=self._world_size,
            schema=self._schema,
            embedding_dim=self._embedding_dim,
            config_digest=self._config_digest,
            graph_digest=self._graph_digest,
            prepared=self._prepared,
            files=dict(sorted((files | file_system.entries).items())),
        )
        _write_text(file_system, aside / MANIFEST_FILE, manifest.to_json())
        publishing.publish(target)
        if is_best:
            folders.write_best(self._folder, target.name)
        publishing.keep_newest(target, self._keep_last)

    def _on_first_rank(self, function: Callable[[], None], where: str) -> None:
        """Calls a function on rank 0; its failure is raised on all ranks."""
        reason = None
        if self._rank == 0:
            try:
                function()
            except (OSError, CheckpointError) as error:
                reason = str(error)
        reason = self._gather(reason)[0]
        if reason is not None:
            raise CheckpointError(
                f"{where}: cannot be written ({reason}); the checkpoints before it are"
                " still good"
            )

    def _gather(self, value: Any) -> list[Any]:
        """Returns the values of all ranks, by rank."""
        if self._group is None:
            return [value]
        values = [None] * self._world_size
        dist.all_gather_object(values, value, group=self._group)
        return values


def _new_gloo_group(
    group: dist.ProcessGroup | None, timeout: datetime.timedelta | None
) -> dist.ProcessGroup | None:
    if group is None:
        return None
    ranks = dist.get_process_group_ranks(group)
    made = dist.new_group(ranks, backend="gloo", timeout=timeout)
    assert isinstance(made, dist.ProcessGroup)
    return made


def _write_text(file_system: ChecksumFileSystem, path: Path, text: str) -> None:
    with file_system.create_stream(path, "wb") as stream:
        stream.write(text.encode())
        os.fsync(stream.fileno())
