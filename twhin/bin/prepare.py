# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Prepares raw edges: vocabularies, encoded edges and a manifest.

The edges are those of `data.raw` in the configuration; the prepared graph is
OUTPUT_DIR/prepared, where //twhin:train finds it. A graph that is there already
and made from the same files with the same settings stays as it is.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from twhin.bin import command
from twhin.bin import flags as run_flags
from twhin.bin.step_bar import StepBar
from twhin.graph import graph_report
from twhin.graph.prepare import dry_run_report, memory_limit, preparation
from twhin.graph.prepare.dry_run import dry_run
from twhin.graph.prepare.duckdb_engine import DuckDBEngine
from twhin.graph.prepare.engine import Engine

_DRY_RUN = flags.DEFINE_boolean(
    "dry_run",
    False,
    "Reads the inputs once, prints schema, sizes and needs, and writes nothing.",
)
_MEMORY_LIMIT = flags.DEFINE_string(
    "memory_limit",
    None,
    "The bound on the engine's buffers, like 6GB; what exceeds it goes to disk below"
    " OUTPUT_DIR. Without it 60 % of the memory.",
)
_NUM_THREADS = flags.DEFINE_integer(
    "num_threads",
    None,
    "Threads of the engine; without it the cores of the machine.",
    lower_bound=1,
)


def main(arguments: Sequence[str]) -> None:
    """Prepares, or reports what preparing would give."""
    del arguments
    config = run_flags.load_config()
    if run_flags.PRINT_CONFIG.value:
        print(config.text, end="")
        return
    target = run_flags.output_dir() / "prepared"
    with StepBar() as bar:
        if _DRY_RUN.value:
            result = dry_run(
                config.settings, str(target), make_engine=lambda w: _engine(w, bar)
            )
            tables = dry_run_report.describe(result)
        else:
            manifest = preparation.prepare_with(
                config.settings,
                str(target),
                make_engine=lambda work: _engine(work, bar),
                progress=bar,
            )
            tables = graph_report.describe_manifest(manifest, str(target))
    print("\n\n".join(table.render() for table in tables))


def _engine(work: Path, bar: StepBar) -> Engine:
    limit = _MEMORY_LIMIT.value
    return DuckDBEngine(
        work,
        memory_limit_bytes=memory_limit.default_memory_limit()
        if limit is None
        else memory_limit.parse_size(limit),
        num_threads=_NUM_THREADS.value or os.cpu_count() or 1,
        progress=bar,
    )


if __name__ == "__main__":
    command.run(main)
