# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Opens a source of vectors by its name: a folder, or addresses of servers."""

import os
from collections.abc import Sequence
from pathlib import Path

from twhin.client.channel import Connection
from twhin.client.local_source import LocalSource
from twhin.client.remote_source import RemoteSource
from twhin.client.source import VectorSource
from twhin.errors import ConfigError


def open_source(
    name: str | Path | Sequence[str],
    connection: Connection | None = None,
    *,
    compiled: bool = True,
) -> VectorSource:
    """Returns the source of a name.

    Args:
      name: A bundle's folder, or HOST:PORT (see `make_target` for several), or
        one such entry for each server that holds a part of the shards; in one
        string they are joined by ';'.
      connection: How to reach servers; None for the defaults.
      compiled: See `LocalSource`.

    Raises:
      ConfigError: It is neither a folder nor an address.
      BundleError: The folder holds no sound bundle.
    """
    if isinstance(name, Path):
        return LocalSource(name, compiled=compiled)
    if not isinstance(name, str):
        return RemoteSource(name, connection)
    if os.path.isdir(name):
        return LocalSource(name, compiled=compiled)
    entries = name.split(";")
    for entry in entries:
        for address in entry.split(","):
            if not address.strip().rpartition(":")[2].isdigit():
                raise ConfigError(
                    f"{name}: is no folder and no address; allowed: the folder of a "
                    "bundle, or HOST:PORT"
                )
    return RemoteSource(entries, connection)
