# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Prepares raw edges: vocabularies, encoded edges and a manifest.

The edges are those of `data.raw` in the configuration, or the generated ones of
`data.demo`; the prepared graph is OUTPUT_DIR/prepared, where //twhin:train finds it. A graph that is there already
and made from the same files with the same settings stays as it is.
"""

import importlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from twhin.bin import command
from twhin.bin import flags as run_flags
from twhin.bin.step_bar import StepBar
from twhin.config.settings import TrainConfig
from twhin.errors import ConfigError
from twhin.graph import demo_graph, graph_report
from twhin.graph.prepare import dry_run_report, memory_limit, preparation
from twhin.graph.prepare.dry_run import dry_run
from twhin.graph.prepare.duckdb_engine import DuckDBEngine
from twhin.graph.prepare.engine import Engine
from twhin.graph.report_table import ReportTable

_DRY_RUN = flags.DEFINE_boolean(
    "dry_run",
    False,
    "Reads the inputs once, prints schema, sizes and needs, and writes nothing.",
)
_ENGINE = flags.DEFINE_enum(
    "engine",
    "duckdb",
    ["duckdb", "spark"],
    "What does the work: DuckDB in this process, or Apache Spark for graphs that"
    " outgrow one machine. Both give the same vocabularies and edges.",
)
_MASTER = flags.DEFINE_string(
    "master",
    "local[*]",
    "The master of --engine=spark, as spark-submit has it: local[2],"
    " spark://HOST:7077, yarn and alike. All machines of a cluster must see"
    " OUTPUT_DIR, and local input files, at the same paths.",
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
    output = run_flags.output_dir()
    with StepBar() as bar:
        if _DRY_RUN.value:
            tables = _dry_run(config.settings, output, bar)
        else:
            target = str(output / "prepared")
            manifest = preparation.prepare_with(
                demo_graph.as_raw(config.settings, output / demo_graph.DEMO_FOLDER),
                target,
                make_engine=lambda work: _engine(work, bar),
                progress=bar,
            )
            tables = graph_report.describe_manifest(manifest, target)
    print("\n\n".join(table.render() for table in tables))


def _dry_run(
    settings: TrainConfig, output: Path, bar: StepBar
) -> tuple[ReportTable, ...]:
    with tempfile.TemporaryDirectory() as folder:
        result = dry_run(
            demo_graph.as_raw(settings, Path(folder)),
            str(output / "prepared"),
            make_engine=lambda work: _engine(work, bar),
        )
    return dry_run_report.describe(result)


def _engine(work: Path, bar: StepBar) -> Engine:
    limit = _MEMORY_LIMIT.value
    arguments: dict[str, Any] = {
        "memory_limit_bytes": memory_limit.default_memory_limit()
        if limit is None
        else memory_limit.parse_size(limit),
        "num_threads": _NUM_THREADS.value or os.cpu_count() or 1,
        "progress": bar,
    }
    if _ENGINE.value == "duckdb":
        return DuckDBEngine(work, **arguments)
    # By name: who does not use Spark need not have it.
    try:
        spark_engine = importlib.import_module("twhin.graph.prepare.spark_engine")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--engine: 'spark' needs the module {error.name!r}, which is not"
            " installed; allowed: //twhin:prepare_spark, which brings it, or"
            " --engine=duckdb"
        ) from error
    engine: Engine = spark_engine.SparkEngine(work, master=_MASTER.value, **arguments)
    return engine


if __name__ == "__main__":
    command.run(main)
