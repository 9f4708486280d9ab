# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a run leaves when it ends: a bundle by choice, a report, the next command."""

from pathlib import Path

from twhin.bin import export_run
from twhin.bin.saved_run import SavedRun
from twhin.config.resolved_config import ResolvedConfig
from twhin.evaluation.report import format_table
from twhin.report.tensorboard import write_projector
from twhin.report.write_report import write_report
from twhin.training.job import Job
from twhin.training.training_run import RunResult


def export(
    config: ResolvedConfig, output_dir: Path, result: RunResult, job: Job
) -> None:
    """Exports the run's checkpoint where its configuration asks for it; a collective.

    Raises:
      BundleError: The bundle cannot be written.
    """
    if config.settings.export.bundle_root is None:
        return
    run = SavedRun(output_dir, checkpoint=str(result.checkpoint))
    export_run.export_in_job(run, export_run.bundle_root(run), (), job)


def report(config: ResolvedConfig, output_dir: Path, result: RunResult) -> None:
    """Writes the report, and prints the metrics and where everything is."""
    if result.is_stopped:
        print(f"Stopped; saved as {result.checkpoint}. The same command goes on.")
        return
    page = write_report(output_dir, checkpoint=result.checkpoint, config=config)
    write_projector(output_dir, checkpoint=result.checkpoint, config=config)
    if result.metrics:
        print(format_table(result.metrics), end="\n\n")
    print(f"Report:      {page}")
    print(f"Checkpoint:  {result.checkpoint}")
    bundle_root = config.settings.export.bundle_root
    if bundle_root is None:
        print("\nNext: export a bundle for servers and local lookups:")
        print(f"  ./bazelw run //twhin:export -- --output_dir={output_dir}")
    else:
        print(f"Bundle:      {output_dir / bundle_root}")
        print("\nNext: serve it:")
        print(f"  ./bazelw run //twhin:serve -- --bundle={output_dir / bundle_root}")
