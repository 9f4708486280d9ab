# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Writes the report of a run, OUTPUT_DIR/report.html, and the projector's files.

Training does so at its end. This command does it again: after //twhin:evaluate, or
for another checkpoint. Without --config it takes the checkpoint's own
configuration.
"""

from collections.abc import Sequence

from twhin.bin import command
from twhin.bin import flags as run_flags
from twhin.bin.checkpoint_flag import CHECKPOINT


def main(arguments: Sequence[str]) -> None:
    """Writes the report."""
    del arguments
    # torch takes seconds to import, which --help and wrong flags need not wait for.
    from twhin.bin.saved_run import SavedRun
    from twhin.report.tensorboard import write_projector
    from twhin.report.write_report import write_report

    run = SavedRun(
        run_flags.output_dir(),
        config_path=run_flags.config_path(),
        overrides=run_flags.overrides(),
        checkpoint=CHECKPOINT.value,
    )
    if run_flags.PRINT_CONFIG.value:
        print(run.config.text, end="")
        return
    path = write_report(run.output_dir, checkpoint=run.checkpoint, config=run.config)
    write_projector(run.output_dir, checkpoint=run.checkpoint, config=run.config)
    print(f"Checkpoint:  {run.checkpoint}")
    print(f"Report:      {path}")


if __name__ == "__main__":
    command.run(main)
