# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""//twhin:prepare with Apache Spark at hand, for --engine=spark.

It needs Java 17 or newer (Debian: apt-get install default-jre-headless).
"""

from twhin.bin import command, prepare

# build: needs //twhin/graph/prepare:spark_engine

if __name__ == "__main__":
    command.run(prepare.main)
