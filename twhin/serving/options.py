# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What a server is started with; a worker gets it as JSON from the supervisor."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twhin.serving.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """The options of one server, shared by its workers.

    Attributes:
      bundle: The root of the bundle's versions.
      host: The address to listen on.
      shards: The range [first, end) of shards to load and the number of all;
        None loads every shard.
      limits: The bounds on requests.
      token_file: See `access`; None lets everyone call everything.
      tls_certificate: See `tls`.
      tls_key: See `tls`.
      tls_client_ca: See `tls`.
      poll_secs: The time between two looks for a new version; 0 never looks.
      lock_memory: Whether to lock the bundle's pages in memory.
      preload: Whether to verify and warm the first version before serving it.
      drain_notice_secs: The time after a SIGTERM in which requests are still
        taken while the health service says NOT_SERVING, for balancers to see.
      drain_secs: How long requests may take to end after a SIGTERM.
      access_log: Whether to log every request.
      trace: Whether requests have spans; see `tracing`.
      num_workers: The number of worker processes.
    """

    bundle: Path
    host: str = "127.0.0.1"
    shards: tuple[int, int, int] | None = None
    limits: Limits = dataclasses.field(default_factory=Limits)
    token_file: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    poll_secs: float = 1.0
    lock_memory: bool = False
    preload: bool = False
    drain_notice_secs: float = 0.0
    drain_secs: float = 5.0
    access_log: bool = False
    trace: bool = False
    num_workers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """The options of one worker.

    Attributes:
      server: The server's options.
      index: The worker's number, from 0.
      shared_port: The port that all workers listen on.
      own_port: The port that only this worker listens on.
      core: The processor to stay on, or None.
      supervisor: The process id of the supervisor.
    """

    server: ServerOptions
    index: int
    shared_port: int
    own_port: int
    core: int | None
    supervisor: int


def to_json(options: WorkerOptions) -> str:
    """Returns the options as JSON."""
    return json.dumps(dataclasses.asdict(options), default=str)


def from_json(text: str) -> WorkerOptions:
    """Returns the options that `to_json` wrote."""
    fields: dict[str, Any] = json.loads(text)
    server: dict[str, Any] = fields.pop("server")
    for name in ("bundle", "token_file", "tls_certificate", "tls_key", "tls_client_ca"):
        if server[name] is not None:
            server[name] = Path(server[name])
    if server["shards"] is not None:
        server["shards"] = tuple(server["shards"])
    server["limits"] = Limits(**server["limits"])
    return WorkerOptions(server=ServerOptions(**server), **fields)
