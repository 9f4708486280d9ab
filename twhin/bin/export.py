# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Exports a checkpoint of a run as a bundle, for servers and local lookups.

The bundle gets a new version, which becomes the one in use when it is complete:
servers change to it by themselves. Without --config it is written as the
checkpoint's own configuration says; what may differ is its part `export`, for
example --override=export.row_format=float16, and where the data is.
"""

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from twhin.bin import command
from twhin.bin import flags as run_flags

_MODULE = "twhin.bin.export"

_CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "'newest', 'best' or the folder of a checkpoint; without it the best one where"
    " the configuration has evaluation.best_metric, otherwise the newest.",
)
_BUNDLE_ROOT = flags.DEFINE_string(
    "bundle_root",
    None,
    "The folder of bundle versions; without it OUTPUT_DIR/BUNDLE, BUNDLE being"
    " export.bundle_root of the configuration, or 'bundle'.",
)
_ALSO = flags.DEFINE_multi_enum(
    "also",
    [],
    ["parquet", "safetensors", "projector"],
    "Also writes the vectors in this form, into the folder of the version: parquet"
    " tables with the original ids, safetensors files, or files for TensorBoard's"
    " embedding projector. Repeatable.",
)
_NPROC_PER_NODE = flags.DEFINE_integer(
    "nproc_per_node",
    1,
    "Processes that write shards at the same time.",
    lower_bound=1,
)


def main(arguments: Sequence[str]) -> None:
    """Exports here, or launches the ranks that do."""
    del arguments
    # It tells which of its libraries it tries to load.
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    # torch takes seconds to import, which --help and wrong flags need not wait for.
    from twhin.bin import export_run
    from twhin.bin.saved_run import SavedRun
    from twhin.training import launch

    config, root = run_flags.CONFIG.value, _BUNDLE_ROOT.value
    run = SavedRun(
        run_flags.output_dir(),
        config_path=None if config is None else Path(config),
        overrides=_overrides(),
        checkpoint=_CHECKPOINT.value,
    )
    if run_flags.PRINT_CONFIG.value:
        print(run.config.text, end="")
        return
    if launch.is_rank() or _NPROC_PER_NODE.value == 1:
        folder = export_run.bundle_root(run) if root is None else Path(root).absolute()
        version = export_run.export(run, folder, _ALSO.value)
        if version is not None:
            print(f"Checkpoint:  {run.checkpoint}")
            print(f"Bundle:      {folder} (version {version})")
            print("\nNext: serve it:")
            print(f"  ./bazelw run //twhin:serve -- --bundle={folder}")
        return
    job = launch.Launch(
        nproc_per_node=_NPROC_PER_NODE.value,
        nnodes="1",
        node_rank=0,
        rdzv_endpoint=None,
        rdzv_id="twhin",
        max_restarts=0,
    )
    launch.launch(job, _MODULE, sys.argv[1:])


def _overrides() -> list[str]:
    overrides = list(run_flags.OVERRIDE.value)
    if run_flags.DATA_ROOT.value is not None:
        overrides.append(f"data.root={json.dumps(run_flags.DATA_ROOT.value)}")
    return overrides


if __name__ == "__main__":
    command.run(main)
