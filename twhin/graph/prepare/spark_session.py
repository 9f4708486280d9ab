# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Starts Spark, or says what it lacks."""

import os
import shutil
from pathlib import Path

from pyspark.sql import SparkSession

from twhin.errors import ConfigError

_SQL_SETTINGS = {
    # A backslash in a literal is a backslash, as in the SQL standard.
    "spark.sql.parser.escapedStringLiterals": "true",
    "spark.sql.session.timeZone": "UTC",
    # Overflows and casts that fail are errors.
    "spark.sql.ansi.enabled": "true",
    # Lines of another length are errors, whichever columns are read.
    "spark.sql.csv.parser.columnPruning.enabled": "false",
}
_SHUFFLE_PARTITIONS_PER_CORE = 8


def start_session(
    master: str, work: Path, *, memory_limit_bytes: int, num_threads: int
) -> SparkSession:
    """Returns a session of the running Spark, or of a new one.

    Args:
      master: As spark-submit has it: "local[2]", "spark://HOST:7077", "yarn", ...
      work: Where a local master spills.
      memory_limit_bytes: The heap of the driver; with a local master of everything.
      num_threads: The cores of a local master, for the number of partitions.

    Raises:
      ConfigError: There is no Java.
    """
    check_java()
    builder = SparkSession.builder.master(master).appName("twhin prepare")
    builder = builder.config("spark.driver.memory", f"{memory_limit_bytes >> 20}m")
    # The bars on the console are ours.
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    if master.startswith("local"):
        local = {
            "spark.local.dir": str(work / "spill"),
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": str(
                _SHUFFLE_PARTITIONS_PER_CORE * num_threads
            ),
        }
        for name, value in local.items():
            builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")  # Every error reaches us as an exception.
    # Views of a session of its own meet no views of another preparation.
    own = session.newSession()
    for name, value in _SQL_SETTINGS.items():
        own.conf.set(name, value)
    return own


def check_java() -> None:
    """Checks that Spark can start.

    Raises:
      ConfigError: There is no Java.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=os.path.join(home, "bin") if home else None)
    if found is None:
        place = f"below JAVA_HOME = {home!r}" if home else "on the PATH"
        raise ConfigError(
            f"--engine: 'spark' needs Java, and there is no 'java' {place}; allowed:"
            " Java 17 or newer (on Debian: apt-get install default-jre-headless), or"
            " --engine=duckdb"
        )
