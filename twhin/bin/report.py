# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes the report of a run, OUTPUT_DIR/report.html, and the projector's files.

Training does so at its end. This command does it again: after //twhin:evaluate, or
for another checkpoint. Without --config it takes the checkpoint's own
configuration.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from twhin.bin import command
from twhin.bin import flags as run_flags

_CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "'newest', 'best' or the folder of a checkpoint; without it the best one where"
    " the configuration has evaluation.best_metric, otherwise the newest.",
)


def main(arguments: Sequence[str]) -> None:
    """Writes the report."""
    del arguments
    # torch takes seconds to import, which --help and wrong flags need not wait for.
    from twhin.bin.saved_run import SavedRun
    from twhin.report.tensorboard import write_projector
    from twhin.report.write_report import write_report

    config = run_flags.CONFIG.value
    run = SavedRun(
        run_flags.output_dir(),
        config_path=None if config is None else Path(config),
        overrides=_overrides(),
        checkpoint=_CHECKPOINT.value,
    )
    if run_flags.PRINT_CONFIG.value:
        print(run.config.text, end="")
        return
    path = write_report(run.output_dir, checkpoint=run.checkpoint, config=run.config)
    write_projector(run.output_dir, checkpoint=run.checkpoint, config=run.config)
    print(f"Checkpoint:  {run.checkpoint}")
    print(f"Report:      {path}")


def _overrides() -> list[str]:
    """Returns the overrides, with those that other flags stand for."""
    overrides = list(run_flags.OVERRIDE.value)
    if run_flags.DATA_ROOT.value is not None:
        overrides.append(f"data.root={json.dumps(run_flags.DATA_ROOT.value)}")
    return overrides


if __name__ == "__main__":
    command.run(main)
