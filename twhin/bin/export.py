# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Exports a checkpoint of a run as a bundle, for servers and local lookups.

The bundle gets a new version, which becomes the one in use when it is complete:
servers change to it by themselves. Without --config it is written as the
checkpoint's own configuration says; what may differ is its part `export`, for
example --override=export.row_format=float16, and where the data is.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from twhin.bin import command
from twhin.bin import flags as run_flags
from twhin.bin.checkpoint_flag import CHECKPOINT
from twhin.errors import ConfigError

_MODULE = "twhin.bin.export"

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
_UNSEEN_EDGES = flags.DEFINE_multi_string(
    "unseen_edges",
    [],
    "ENTITY_TYPE=FILE: edges, in parquet, of entities that were not trained. Their"
    " vectors go to VERSION/unseen/ENTITY_TYPE.parquet. Repeatable.",
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
    from twhin.bin.local_ranks import launch_ranks
    from twhin.bin.saved_run import SavedRun
    from twhin.training.launch import is_rank

    root = _BUNDLE_ROOT.value
    run = SavedRun(
        run_flags.output_dir(),
        config_path=run_flags.config_path(),
        overrides=run_flags.overrides(),
        checkpoint=CHECKPOINT.value,
    )
    if run_flags.PRINT_CONFIG.value:
        print(run.config.text, end="")
        return
    if is_rank() or _NPROC_PER_NODE.value == 1:
        folder = export_run.bundle_root(run) if root is None else Path(root).absolute()
        version = export_run.export(run, folder, _ALSO.value, _unseen_edges())
        if version is not None:
            print(f"Checkpoint:  {run.checkpoint}")
            print(f"Bundle:      {folder} (version {version})")
            print("\nNext: serve it:")
            print(f"  ./bazelw run //twhin:serve -- --bundle={folder}")
        return
    launch_ranks(_MODULE, _NPROC_PER_NODE.value)


def _unseen_edges() -> dict[str, Path]:
    found = {}
    for text in _UNSEEN_EDGES.value:
        entity_type, separator, path = text.partition("=")
        if not separator:
            raise ConfigError(f"--unseen_edges: is {text!r}; allowed: ENTITY_TYPE=FILE")
        found[entity_type] = Path(path)
    return found


if __name__ == "__main__":
    command.run(main)
